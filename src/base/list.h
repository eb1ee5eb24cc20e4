/* SPDX-License-Identifier: MIT */
/* Doubly linked lists, embedded in what they link. */
#ifndef WR_BASE_LIST_H
#define WR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct wr_list {
	struct wr_list *next, *prev;
};

#define wr_container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void wr_list_init(struct wr_list *head)
{
	head->next = head->prev = head;
}

static inline bool wr_list_empty(const struct wr_list *head)
{
	return head->next == head;
}

static inline void wr_list_add_tail(struct wr_list *head, struct wr_list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void wr_list_del(struct wr_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	wr_list_init(item);
}

#define wr_list_for_each(pos, head, member)                                                        \
	for (pos = wr_container_of((head)->next, __typeof__(*pos), member); &pos->member != (head);\
	     pos = wr_container_of(pos->member.next, __typeof__(*pos), member))

#endif
