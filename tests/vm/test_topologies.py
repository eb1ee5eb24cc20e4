# SPDX-License-Identifier: MIT
"""The topologies: each is what its name says."""

import unittest

import topologies
from topologies import (ACS_PORT, BRIDGES, CONVENTIONAL, DOWNSTREAM, PLAIN_PORT, PORTS, UPSTREAM,
                        Board, Root)


def functions(slots):
    """(the functions of its slot, function, what it is behind, from the root), of all."""
    for slot in slots:
        for function in slot:
            yield slot, function, ()
            for other, inner, above in functions(function.below):
                yield other, inner, (function, *above)


def drivers(topology):
    """Of all its functions."""
    return [function.driver for _, function, _ in functions(topology.slots)]


class Topologies(unittest.TestCase):
    """Named and mixed ones."""

    def test_names_say_what_they_are(self):
        for topology in topologies.NAMED:
            first, _, rest = topology.name.partition("-")
            found = drivers(topology)
            self.assertGreater(topology.groups, 0, topology.name)
            with self.subTest(topology.name):
                if "below-acs" in rest:
                    self.assertEqual([slot[0].driver for slot in topology.slots], [ACS_PORT])
                if "below-plain" in rest:
                    self.assertEqual([slot[0].driver for slot in topology.slots], [PLAIN_PORT])
                    self.assertEqual(topology.groups, 1)
                if "below-switch" in rest or first == "switch":
                    self.assertTrue({UPSTREAM, DOWNSTREAM} <= set(found))
                getattr(self, f"is_{first}")(topology, rest, found)

    def is_ports(self, topology, rest, found):
        ports = [function.driver for slot in topology.slots for function in slot]
        self.assertEqual(set(ports), {"acs": {ACS_PORT}, "plain": {PLAIN_PORT},
                                      "mixed": {ACS_PORT, PLAIN_PORT}}[rest.rpartition("-")[2]])
        self.assertGreaterEqual(len(ports), 3)
        self.assertEqual("multifunction" in rest, len(topology.slots) == 1)

    def is_switch(self, topology, rest, found):
        self.assertGreaterEqual(found.count(DOWNSTREAM), 2)
        if rest == "below-switch":
            self.assertTrue(any(function.driver == above.driver == UPSTREAM
                                for _, function, over in functions(topology.slots)
                                for above in over))
        if rest == "multifunction":
            self.assertTrue(any(len(slot) > 1 and function.driver == DOWNSTREAM
                                for slot, function, _ in functions(topology.slots)))

    def is_card(self, topology, rest, found):
        cards = [slot for slot, function, above in functions(topology.slots) if above]
        self.assertTrue(all(len(slot) > 1 for slot in cards))
        isolated = {function.driver == "igb" for slot in cards for function in slot}
        self.assertEqual(isolated, {"isolated": {True}, "isolated-below-plain": {True},
                                    "partly-isolated": {True, False}}.get(rest, {False}))

    def is_bridge(self, topology, rest, found):
        bridges = [(function, above) for _, function, above in functions(topology.slots)
                   if function.driver in CONVENTIONAL]
        self.assertTrue(all(function.below for function, _ in bridges))
        if rest == "below-bridge":
            self.assertTrue(any(above and above[-1].driver in CONVENTIONAL for _, above in bridges))
        if rest == "on-root":
            self.assertTrue(all(not above for _, above in bridges))
        if rest == "alias":
            self.assertTrue(any(function.driver == topologies.DMI_BRIDGE
                                and above[-1].driver == ACS_PORT for function, above in bridges))
        if rest == "in-card":
            self.assertTrue(any(len(slot) > 1 and function.driver in CONVENTIONAL
                                for slot, function, _ in functions(topology.slots)))

    def is_vfs(self, topology, rest, found):
        cards = [function for _, function, _ in functions(topology.slots) if function.vfs]
        self.assertEqual({function.driver for function in cards},
                         {"nvme" if rest == "nvme" else "igb"})
        self.assertEqual(len(cards), 2 if rest == "of-two" else 1)

    def test_around_a_port(self):
        """The same but for the first function, except where the kernel is told to."""
        on, off = (topologies.around(port) for port in (topologies.acs, topologies.plain))
        self.assertEqual([topology.name for topology in on], [topology.name for topology in off])
        for with_acs, without in zip(on, off, strict=True):
            self.assertEqual(Root(with_acs, 8, "x").addresses(), Root(without, 8, "x").addresses())
            changed = [(one, other) for one, other in
                       zip(drivers(with_acs), drivers(without), strict=True) if one != other]
            self.assertEqual(changed, [] if with_acs.name == "port-left-off" else
                             [(ACS_PORT, PLAIN_PORT)])
            self.assertEqual(with_acs.slots[0][0].driver, ACS_PORT)

    def test_mixes_depend_on_the_seed_alone(self):
        for seed in range(1, 40):
            mix = topologies.Mix(seed).topology
            self.assertEqual(mix, topologies.Mix(seed).topology)
            self.assertNotEqual(mix.slots, topologies.Mix(seed + 1).topology.slots)
        self.assertEqual(drivers(topologies.Mix(3).topology), MIX_3)

    def test_mixes_can_be_built(self):
        for seed in range(1, 200):
            for slot, function, above in functions(topologies.Mix(seed).topology.slots):
                with self.subTest(seed=seed, function=function):
                    self.assertLessEqual(len(slot), 4)
                    if not above:
                        self.assertIn(function.driver, BRIDGES)
                    if function.driver in PORTS:
                        self.assertLessEqual(len(function.below), 1)
                    if function.driver == DOWNSTREAM:
                        self.assertEqual(above[-1].driver, UPSTREAM)
                    if function.driver == "igb":
                        self.assertIs(slot[0], function)
                        self.assertLessEqual(len(slot), 2)


MIX_3 = ["ioh3420", "pcie-pci-bridge", "edu", "i82801b11-bridge", "edu", "i82801b11-bridge", "edu",
         "edu"]


class Boards(unittest.TestCase):
    """Topologies side by side."""

    def test_addresses(self):
        named = {topology.name: topology for topology in topologies.NAMED}
        board = Board(topologies.INTEGRATED, named["switch-below-acs"], named["vfs-of-two"])
        own, switch, vfs = board.roots
        self.assertIn("0000:00:02.0", own.addresses())
        self.assertEqual((own.bus, switch.bus, vfs.bus), (0, 4, 10))
        self.assertEqual(sorted(switch.addresses()), [
            "0000:04:00.0", "0000:05:00.0", "0000:06:00.0", "0000:06:01.0", "0000:06:02.0",
            "0000:07:00.0", "0000:08:00.0"])
        self.assertEqual(vfs.vfs, {"0000:0b:00.0": ["0000:0b:10.0", "0000:0b:10.2"],
                                   "0000:0b:00.1": ["0000:0b:10.1", "0000:0b:10.3"]})
        self.assertEqual(topologies.address_of(2, 0x105), "0000:03:00.5")


if __name__ == "__main__":
    unittest.main()
