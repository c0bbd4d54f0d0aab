/*
 * Requests to a guest's supervisor: a line of JSON each way on control.sock.
 *
 *   {"do": "pause" | "unpause" | "destroy" | "reboot" | "state" | "wait"}
 *   {"ok": true, ...} or {"ok": false, "error": "in words"}
 *
 * "wait" is answered when the guest has ended, with {"ok": true, "ended_by", "reason"}.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_RPC_H
#define CORBEL_RPC_H

#include <jansson.h>
#include <uv.h>

#include "../lib/failure.h"

struct rpc_server;

/* Returns the answer (owned by the caller then), or NULL to answer with
 * rpc_answer_waiters(). */
typedef json_t *rpc_handler(const char *request, void *opaque);

int rpc_open(struct rpc_server **server, uv_loop_t *loop, const char *guest,
             rpc_handler *handler, void *opaque, struct failure *f);
void rpc_answer_waiters(struct rpc_server *server, json_t *answer);
/* Before the process ends, outside of uv_run(). */
void rpc_close(struct rpc_server *server);

/*
 * The client's side: connect (-ECONNREFUSED, -ENOENT with words when there is no
 * supervisor), send, wait for the answer.  *answer is a new reference, and only there
 * when 0 is returned.
 */
int rpc_connect(const char *guest, struct failure *f);
int rpc_send(int fd, const char *request, struct failure *f);
int rpc_receive(int fd, json_t **answer, struct failure *f);
int rpc_call(const char *guest, const char *request, json_t **answer, struct failure *f);

#endif
