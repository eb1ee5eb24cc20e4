#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run weir's tests and count every test case.

    tests/check.py             everything
    tests/check.py --quick     the gcc build with its unit and soft tests
    tests/check.py PART...     only these parts (see PARTS below)

Lanes run side by side: the builds one after the other; the virtual machines, which start as soon as
the gcc build is ready, and those of other architectures when the cross builds are; and the soak
test, which starts when gcc's tests, some of which measure, are over. The terminal gets one line per
part as it finishes; its whole output is in build/logs/PART.log. A full run leaves build/check.json.
The last line is always "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed
and nothing was skipped.
"""

import argparse
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / 'tests/cross'))
import cross    # noqa: E402
from machines import MACHINES    # noqa: E402
BUILD = TOP / 'build'
LOGS = BUILD / 'logs'

TAIL = 20               # lines of output shown for a failing case
SHOWN = 10              # failing cases shown per part
LIMIT = 2 * 60 * 60     # seconds after which a command is hung, not slow

UNIT = ['unit', 'soft']

# Each sanitizer makes the program's exit status say that it found something, also when every
# case passed. ASan and UBSan stop there; TSan goes on, since one run can show several races.
SANITIZERS = {
    'ASAN_OPTIONS': 'halt_on_error=1:detect_leaks=1:detect_stack_use_after_return=1',
    'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=0:second_deadlock_stack=1:history_size=4',
}


class Config:
    """One build directory and what is tested in it, and how."""

    def __init__(self, name, build, cc, cxx, options, suites, slow=1, env=(), wrapper=(),
                 target=None):
        self.name = name
        self.build = TOP / build
        self.cc = cc
        self.cxx = cxx
        self.options = options
        self.suites = suites
        self.slow = slow        # how much more time than usual a test gets
        self.env = dict(env)    # for the tests
        self.wrapper = wrapper  # a command that runs each test program
        self.target = target    # of a cross build


# gcc's sanitizers, because their runtimes come with the compiler. They change what gcc can see
# of the code, and its warnings with it; -Werror is for the plain builds.
SANE = ['-Dwerror=false', '-Ddebug=true', '-Doptimization=1']

# So many operations at random as are worth a sanitizer's time.
MANY = {'WEIR_TEST_OPS': '1000000'}

# A library that isn't there must not take tests along.
ALL = '-Dauto_features=enabled'

# What debuggers want is in gcc's build, which valgrind uses, and in the sanitizers'. It is a sixth
# of a compiler's work.
LEAN = '-Ddebug=false'

CONFIGS = [
    Config('gcc', 'build', 'gcc', 'g++', [ALL, '-Dwerror=true'],
           UNIT + ['headers', 'bench', 'browser']),
    Config('clang', 'build-clang', 'clang', 'clang++', [ALL, LEAN, '-Dwerror=true'],
           UNIT + ['headers']),
    Config('asan', 'build-asan', 'gcc', 'g++',
           [ALL, *SANE, '-Db_sanitize=address,undefined', '-Dc_args=-fno-sanitize-recover=all'],
           UNIT, slow=4, env=MANY),
    Config('tsan', 'build-tsan', 'gcc', 'g++', [ALL, *SANE, '-Db_sanitize=thread'], UNIT, slow=8,
           env=MANY),
    # What parses, from inputs at random: tests/fuzz.
    Config('fuzz', 'build-fuzz', 'clang', 'clang++',
           [ALL, *SANE, '-Dtests=disabled', '-Dfuzz=true', '-Db_sanitize=address,undefined',
            '-Db_lundef=false'], ['fuzz'], slow=4),
    # What there is with a C library alone; its command prints what the README shows.
    Config('bare', 'build-bare', 'gcc', 'g++',
           ['-Dauto_features=disabled', LEAN, '-Dwerror=true'], ['headers']),
]

# Early, since machines wait for them. QEMU's emulation of user space doesn't tell what isn't
# memory.
CONFIGS[1:1] = [Config(name, f'build-{name}', target.compiler, '', [ALL, LEAN, '-Dwerror=true'],
                       UNIT, slow=8, env={'WEIR_TEST_BLIND': '1'}, target=target)
                for name, target in cross.TARGETS.items()]

# These run what the gcc part has built. What valgrind calls definitely lost is an error, what is
# reachable still isn't: children that tests fork leave it behind. And so they do what it calls
# possibly lost, which trees reach by a pointer into its middle (batch.c).
VALGRIND = Config('valgrind', 'build', 'gcc', 'g++', [], UNIT, slow=20,
                  wrapper=['valgrind', '--quiet', '--leak-check=full', '--show-leak-kinds=definite',
                           '--errors-for-leak-kinds=definite', '--error-exitcode=99'])
SOAK = Config('soak', 'build', 'gcc', 'g++', [], ['soak'], env={'WEIR_TEST_SECONDS': '60'})

PARTS = [config.name for config in CONFIGS] + ['valgrind', 'harness', 'soak', 'vm', 'vm-cross']

# Whose builds the others use.
NEEDS = {'valgrind': {'gcc'}, 'soak': {'gcc'}, 'vm': {'gcc'},
         'vm-cross': {machine.arch for machine in MACHINES.values()} - {''}}


@dataclasses.dataclass
class Case:
    """One test case's result, and the output that explains it."""

    layer: str
    machine: str
    test: str
    result: str             # pass, fail or skip
    seconds: float = None   # None where cases aren't timed one by one
    why: str = ''
    output: list = dataclasses.field(default_factory=list)
    unrun: int = 0          # cases after this one that the program's end kept from running

    def json(self):
        return {key: getattr(self, key)
                for key in ('layer', 'machine', 'test', 'result', 'seconds', 'why')}


class PartError(Exception):
    """The part can't go on. Counts as one failed case named after the part."""


# ---- running commands --------------------------------------------------------------------------

running = set()
running_lock = threading.Lock()
stopping = threading.Event()


def kill(proc, sig):
    # Only ever the group that run() made for this child.
    try:
        os.killpg(proc.pid, sig)
    except ProcessLookupError:
        pass


def stop(*_):
    """Ctrl-C or SIGTERM: end the children; their parts then fail and are counted."""
    stopping.set()
    # Without the lock: this runs in the main thread, which may be holding it.
    for proc in list(running):
        kill(proc, signal.SIGTERM)


def run(log, cmd, env=None, limit=LIMIT):
    """Run cmd with its output appended to log. Returns its exit status."""
    if stopping.is_set():
        raise PartError('interrupted')
    with open(log, 'a') as out:
        print('+', ' '.join(map(str, cmd)), file=out, flush=True)
        try:
            proc = subprocess.Popen(cmd, cwd=TOP, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, process_group=0)
        except OSError as err:
            raise PartError(f'{cmd[0]}: {err.strerror}; try scripts/setup test') from err
        with running_lock:
            running.add(proc)
        try:
            if stopping.is_set():       # stop() came before the child was in the set
                kill(proc, signal.SIGTERM)
            try:
                return proc.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                kill(proc, signal.SIGTERM)
                try:
                    proc.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    kill(proc, signal.SIGKILL)
                    proc.wait()
                raise PartError(f'{cmd[0]}: no end after {limit} s') from None
        finally:
            with running_lock:
                running.remove(proc)


def must(log, cmd, env=None, what=None):
    status = run(log, cmd, env)
    if stopping.is_set():
        raise PartError('interrupted')
    if status:
        raise PartError(f'{what or " ".join(map(str, cmd[:2]))} failed ({ending(status)})')


def ending(status):
    if status < 0:
        return f'killed by {signal.Signals(-status).name}'
    return f'exit status {status}'


def tail(log):
    # Compilers are told to use colours, since ninja hides the terminal from them.
    text = re.sub(r'\x1b\[[0-9;]*[mK]', '', log.read_text(errors='replace'))
    return text.splitlines()[-TAIL:]


# ---- meson -------------------------------------------------------------------------------------

# Tests make and remove thousands of small files, which on a disk is most of what they cost.
MEMORY = {'TMPDIR': '/dev/shm'} if os.access('/dev/shm', os.W_OK) else {}


def environment(config):
    return dict(os.environ, CC=config.cc, CXX=config.cxx, LC_ALL='C.UTF-8',
                CMOCKA_MESSAGE_OUTPUT='TAP', **MEMORY, **SANITIZERS, **config.env)


def same_compiler(a, b):
    # "cc" is a chain of links to gcc.
    return os.path.realpath(shutil.which(a) or a) == os.path.realpath(shutil.which(b) or b)


def cross_options(config, cache):
    """What makes meson build for another machine. A directory with another sysroot starts afresh:
    meson would keep some of the old one."""
    text = cross.cross_file(config.target, cache)
    path = config.build / 'cross.ini'
    if not path.exists() or path.read_text() != text:
        shutil.rmtree(config.build, ignore_errors=True)
        config.build.mkdir()
        path.write_text(text)
    return ['--cross-file', path]


def compile_config(config, log, more_options=()):
    """Configure, or reconfigure what an older checkout left, and build."""
    for tool in ('meson', 'ninja', config.cc):
        if not shutil.which(tool):
            raise PartError(f'{tool} is not installed; run scripts/setup '
                            f'{"cross" if config.target else "test"}')
    env = environment(config)
    known = (config.build / 'meson-private/coredata.dat').exists()
    must(log, ['meson', 'setup'] + (['--reconfigure'] if known else []) +
         [*config.options, *more_options, config.build], env, 'meson setup')

    # A configured directory keeps its compiler whatever CC says now.
    compilers = json.loads((config.build / 'meson-info/intro-targets.json').read_text())
    found = {source['compiler'][-1] for target in compilers
             for source in target['target_sources'] if source.get('language') == 'c'}
    if not all(same_compiler(cc, config.cc) for cc in found):
        raise PartError(f'{config.build.name}/ was configured with {", ".join(sorted(found))}, '
                        f'not {config.cc}; remove it')
    must(log, ['ninja', '-C', config.build], env, 'the build')


def test_config(config, log):
    env = environment(config)
    # Several may be testing one build; meson adds the wrapper's name to that of its log.
    base = f'testlog-{config.name}'
    cmd = ['meson', 'test', '-C', config.build, '--no-rebuild', '--print-errorlogs',
           '--timeout-multiplier', str(config.slow), '--logbase', base]
    if config.wrapper:
        if not shutil.which(config.wrapper[0]):
            raise PartError(f'{config.wrapper[0]} is not installed; run scripts/setup test')
        cmd += ['--wrapper', ' '.join(config.wrapper)]
        base += f'-{config.wrapper[0]}'
    results = config.build / f'meson-logs/{base}.json'
    results.unlink(missing_ok=True)
    for suite in config.suites:
        cmd += ['--suite', suite]
    if 'b_sanitize=thread' in ' '.join(config.options):
        # Where the kernel randomizes 32 bits of an address (vm.mmap_rnd_bits), gcc 12's TSan
        # finds its shadow taken and gives up, now and then. Some containers forbid this call.
        fixed = ['setarch', '--addr-no-randomize']
        if shutil.which(fixed[0]) and run(log, fixed + ['true'], env) == 0:
            cmd = fixed + cmd
    status = run(log, cmd, env)

    # Meson's exit status isn't used, for the reasons in program_cases(); that every program
    # ran is.
    if not results.exists():
        raise PartError(f'meson test ran nothing ({ending(status)})')
    programs = [json.loads(line) for line in results.read_text(errors='replace').splitlines()]
    tests = json.loads((config.build / 'meson-info/intro-tests.json').read_text())
    wanted = [test['name'] for test in tests
              if any(suite.partition(':')[2] in config.suites for suite in test['suite'])]
    cases = []
    impossible = cross.load(config.name) if config.target else {}
    for entry in programs:
        program, found = program_cases(config.name, entry)
        cases += cross.judge(program, impossible.pop(program, {}), found)
    if impossible:
        cases.append(Case('unit', config.name, config.name, 'fail', why='no such test programs: '
                          + ', '.join(impossible)))
    if len(programs) != len(wanted):
        cases.append(Case('unit', config.name, config.name, 'fail', output=tail(log),
                          why=f'meson ran {len(programs)} of {len(wanted)} test programs'))
    for suite in config.suites:
        if not any(case.layer == suite for case in cases):
            cases.append(Case(suite, config.name, suite, 'fail', why='the suite has no test case'))
    return cases, 0


def valgrind_part(log):
    return test_config(VALGRIND, log)


def soak_part(log):
    return test_config(SOAK, log)


PLAN = re.compile(r'1\.\.(\d+)\b\s*(?:#\s*(SKIP)\S*\s*(.*))?$', re.IGNORECASE)
RESULT = re.compile(r'(not ok|ok)\b\s*(\d*)\s*(?:-\s*)?(.*?)\s*(?:#\s*(SKIP|TODO)\S*\s*(.*))?$',
                    re.IGNORECASE)
GROUP = re.compile(r'# (not )?ok - ')       # cmocka, after the last case of a group
REPORT = re.compile(r'(ERROR|WARNING): \w+Sanitizer|: runtime error: |^==\d+== ')


def program_cases(machine, entry):
    """A test program's name and its cases, from its line in meson's testlog.json.

    Meson 1.0's own reading of TAP isn't used: cmocka 1.1.5 writes one plan per group and
    "not ok N # SKIP" for skip(), without the case's name, and its tests may print. Meson takes
    the first and the last for errors and the second for a failure.
    """
    suites, _, program = entry['name'].partition(' / ')
    layer = suites.partition(':')[2].partition('+')[0] or suites
    lines = (entry.get('stdout') or '').splitlines()
    stderr = (entry.get('stderr') or '').splitlines()

    cases = []
    planned = None
    skipped = None      # why the whole program skips itself
    said = []           # lines since the last result: what the coming case printed
    for line in lines:
        plan = PLAN.match(line)
        result = RESULT.match(line)
        if plan:
            planned = (planned or 0) + int(plan[1])
            if plan[2]:
                skipped = plan[3]
        elif result:
            ok, number, name, directive, why = result.groups()
            if (directive or '').upper() == 'SKIP':
                # cmocka's why is always "skipped"; a test prints the real one before skip().
                verdict = 'skip'
                why = said[-1] if said and why in ('', 'skipped') else why
            else:
                verdict = 'pass' if ok.lower() == 'ok' else 'fail'
                name, _, why = name.partition(' Could not run test: ')      # a failed teardown's
            cases.append(Case(layer, machine, f'{program}: {name or "case " + number}', verdict,
                              why=why, output=said))
            said = []
        elif GROUP.match(line):
            pass
        elif line.startswith('#') and cases and not said:
            # Diagnostics follow the result they belong to.
            cases[-1].output.append(line)
            if cases[-1].result == 'fail' and not cases[-1].why:
                cases[-1].why = line.lstrip('# ')
        else:
            said.append(line)

    # And whatever happened to the program as a whole.
    status = entry.get('returncode') or 0
    whole = None
    if entry['result'] == 'TIMEOUT':
        whole = 'fail', f'no end after {entry["duration"]:.0f} s, {len(cases)} cases done'
    elif not cases and entry['result'] == 'SKIP':
        whole = 'skip', skipped or (said or [''])[-1]
    elif not cases and planned is None:     # a program without TAP is one case
        whole = ('pass', '') if entry['result'] == 'OK' else ('fail', ending(status))
    elif not cases and not status and skipped is not None:
        whole = 'skip', skipped
    elif not planned or len(cases) != planned:
        whole = 'fail', f'{ending(status)} after {len(cases)} of {planned or 0} cases'
    elif status and not any(case.result == 'fail' for case in cases):
        whole = 'fail', f'{ending(status)} though no case failed'
    if whole:
        output = lines + stderr
        for i, line in enumerate(output):
            if REPORT.search(line):     # a checker's: its head says what, its tail doesn't
                output = output[i:i + TAIL]
                break
        unrun = max((planned or 0) - len(cases), 0)
        cases.append(Case(layer, machine, program, whole[0], why=whole[1], output=output))
        cases[-1].unrun = unrun

    if len(cases) == 1:
        cases[0].seconds = round(entry['duration'], 3)
    return program, cases


# ---- the parts that report in JSON: machines, and the harness's own tests -----------------------

def json_cases(path, layer, machine):
    try:
        entries = json.loads(path.read_text())
        cases = [Case(entry.get('layer', layer), entry.get('machine', machine), entry['test'],
                      entry['result'], entry.get('seconds'), entry.get('why') or '')
                 for entry in entries]
    except FileNotFoundError:
        raise PartError(f'no {path.relative_to(TOP)} was written') from None
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise PartError(f'{path.relative_to(TOP)}: {err!r}') from err
    for case in cases:
        if case.result not in ('pass', 'fail', 'skip'):
            case.result, case.why = 'fail', f'unknown result {case.result!r}'
    return cases


def json_part(name, cmd, log, machine):
    # A file left by an earlier run must not speak for this one.
    path = BUILD / f'{name}.json'
    path.unlink(missing_ok=True)
    status = run(log, cmd + [path])
    if status and not path.exists():
        raise PartError(ending(status))
    return json_cases(path, name, machine), status


def vm_part(log):
    return machines_part('vm', [name for name, machine in MACHINES.items() if not machine.arch],
                         log)


def vm_cross_part(log):
    return machines_part('vm-cross', [name for name, machine in MACHINES.items() if machine.arch],
                         log)


def machines_part(name, machines, log):
    return json_part(name, [sys.executable, 'tests/vm/run.py', '--build', 'build', *machines,
                            '--json'], log, '')


def harness_part(log):
    return json_part('harness', [sys.executable, __file__, '--unittest'], log, 'host')


class Recorder(unittest.TextTestResult):
    """Keeps a Case per test method; a failing subTest fails its method."""

    def __init__(self, *args):
        super().__init__(*args)
        self.cases = {}
        self.started = 0

    def record(self, test, result, why=''):
        seconds = round(time.monotonic() - self.started, 3) if self.started else None
        self.cases[test.id()] = Case('harness', 'host', test.id(), result, seconds, why)

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.record(test, 'pass')

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.record(test, 'fail', f'{err[0].__name__}: {err[1]}')

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.record(test, 'fail', f'{subtest._subDescription()} {err[1]}')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.record(test, 'skip', reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.record(test, 'pass')

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.record(test, 'fail', 'succeeded unexpectedly')


def run_unittest(path):
    """The child's half of harness_part()."""
    # A loader keeps the folder that it was used on.
    tests = unittest.TestSuite(unittest.TestLoader().discover(str(TOP / 'tests' / folder))
                               for folder in ('vm', 'cross'))
    result = unittest.TextTestRunner(verbosity=2, resultclass=Recorder).run(tests)
    Path(path).write_text(json.dumps([case.json() for case in result.cases.values()], indent=1))
    return 0 if result.wasSuccessful() else 1


# ---- the whole ---------------------------------------------------------------------------------

class Check:
    def __init__(self, parts):
        self.parts = parts
        self.cases = []
        self.done = []
        self.ended = {config.name: threading.Event() for config in CONFIGS}  # of builds
        self.built = set()
        self.lock = threading.Lock()
        self.width = max(map(len, parts))

    def part(self, name, function, layer):
        """Run one part, add its cases, print its line. Nothing it does can go uncounted."""
        log = LOGS / f'{name}.log'
        start = time.monotonic()
        cases = []
        try:
            cases, status = function(log)
            if not cases:
                raise PartError('no test case ran')
            if status and all(case.result == 'pass' for case in cases):
                raise PartError(f'{ending(status)} though no case failed')
            if stopping.is_set():
                raise PartError('interrupted')
        except Exception as err:        # a bug in this script, too, must not pass for success
            known = isinstance(err, (PartError, cross.PackageError))
            why = str(err) if known else repr(err)
            cases.append(Case(layer, name, name, 'fail', round(time.monotonic() - start, 1), why,
                              tail(log) if log.exists() else []))
        with self.lock:
            self.cases += cases
            self.done.append(name)
            self.report(name, cases, time.monotonic() - start, log)

    def report(self, name, cases, seconds, log):
        bad = [case for case in cases if case.result != 'pass']
        print(f'{name:{self.width}}  {"FAIL" if bad else "ok":4}  {count(cases)}  '
              f'({seconds:.1f} s)', flush=True)
        for case in bad[:SHOWN]:
            why, *more = case.why.splitlines() or ['']
            print(f'  {case.result.upper()}  {case.layer} {case.machine}  {case.test}'
                  f'{": " if why else ""}{why}')
            if case.result == 'fail':
                for line in (more + case.output)[-TAIL:]:
                    print(f'        | {line}')
        if len(bad) > SHOWN:
            print(f'  and {len(bad) - SHOWN} more')
        if bad:
            print(f'  see {log.relative_to(TOP)}', flush=True)

    def config(self, config):
        def build_and_test(log):
            with cross.Cache() as cache:
                try:
                    compile_config(config, log,
                                   cross_options(config, cache) if config.target else ())
                    self.built.add(config.name)
                finally:
                    self.ended[config.name].set()
                return test_config(config, log)

        self.part(config.name, build_and_test, 'unit')

    def using(self, name, function, layer):
        """A part that uses what others build, as soon as it's there."""
        for need in NEEDS[name]:
            self.ended[need].wait()

        def run_if_built(log):
            for need in NEEDS[name] - self.built:
                raise PartError(f'the {need} build failed')
            return function(log)

        self.part(name, run_if_built, layer)

    def run(self):
        threads = []

        def beside(*part):
            if part[0] in self.parts:
                threads.append(threading.Thread(target=self.using, args=part))
                threads[-1].start()

        beside('vm', vm_part, 'vm')
        beside('vm-cross', vm_cross_part, 'vm')
        for config in CONFIGS:
            if config.name in self.parts:
                self.config(config)
            if config.name == 'gcc':
                beside('soak', soak_part, 'soak')
        if 'valgrind' in self.parts:
            self.using('valgrind', valgrind_part, 'unit')
        if 'harness' in self.parts:
            self.part('harness', harness_part, 'harness')
        for thread in threads:
            thread.join()


def count(cases):
    n = {result: sum(case.result == result for case in cases)
         for result in ('pass', 'fail', 'skip')}
    return f'{n["pass"]} passed, {n["fail"]} failed, {n["skip"]} skipped'


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='the gcc part alone, unit and soft')
    parser.add_argument('--unittest', metavar='JSON', help=argparse.SUPPRESS)
    parser.add_argument('parts', nargs='*', metavar='PART', help=', '.join(PARTS))
    args = parser.parse_args()
    if args.unittest:
        return run_unittest(args.unittest)
    for part in args.parts:
        if part not in PARTS:
            parser.error(f'no part {part!r}; there are {", ".join(PARTS)}')
    if args.quick:
        CONFIGS[0].suites = UNIT
        args.parts = ['gcc']

    parts = args.parts or PARTS
    needed = set().union(*(NEEDS.get(part, ()) for part in parts)) - set(parts)
    parts = sorted(needed, key=PARTS.index) + parts

    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    everything = set(parts) == set(PARTS)
    if everything:
        (BUILD / 'check.json').unlink(missing_ok=True)

    # What would choose other tests, flags or back ends behind our back.
    for name in ('CFLAGS', 'CXXFLAGS', 'CPPFLAGS', 'LDFLAGS', 'CMOCKA_TEST_ABORT',
                 'CMOCKA_XML_FILE', 'WEIR_IOMMU'):
        os.environ.pop(name, None)

    print(f'check: {", ".join(parts)}; output in {LOGS.relative_to(TOP)}/', flush=True)
    check = Check(parts)
    # The lanes are threads, so that signals find the main thread free to act on them.
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    lanes = threading.Thread(target=check.run)
    lanes.start()
    while lanes.is_alive():
        lanes.join(timeout=0.5)

    for name in parts:
        if name not in check.done:
            check.cases.append(Case(name, name, name, 'fail', why='the part never finished'))
    if everything:
        (BUILD / 'check.json').write_text(
            json.dumps([case.json() for case in check.cases], indent=1) + '\n')
    print(count(check.cases))
    return 0 if check.cases and all(case.result == 'pass' for case in check.cases) else 1


if __name__ == '__main__':
    sys.exit(main())
