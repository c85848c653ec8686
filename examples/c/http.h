// What the coordinator needs of HTTP, by libmicrohttpd: GET requests, each answered with a line of text.
#ifndef HTTP_H
#define HTTP_H

#include <err.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HTTP_BODY = 512 };

// Answers a request: says a line in `body`, which is empty, and gives the HTTP status. Many threads at once call it.
typedef unsigned http_answer(const char *path, char *body);

static http_answer *http_answers;

// Writes the body of an answer with this HTTP status, and gives the status.
static unsigned http_say(char *body, unsigned code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(body, HTTP_BODY, format, values);
    va_end(values);
    return code;
}

static enum MHD_Result http_reply(void *unused, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **request)
{
    (void)unused, (void)version, (void)upload, (void)upload_size, (void)request;
    char body[HTTP_BODY] = "";
    bool is_get = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    unsigned code = is_get ? http_answers(path, body) : MHD_HTTP_METHOD_NOT_ALLOWED;
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return queued;
}

// A socket that listens at host:port.
static int http_listen(const char *address)
{
    const char *port = strrchr(address, ':') + 1;
    char host[256];
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found;
    int v6 = *address == '['; // its brackets are not the resolver's
    snprintf(host, sizeof host, "%.*s", (int)(port - address - 1 - 2 * v6), address + v6);
    int status = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (status != 0)
        errx(EXIT_FAILURE, "%s: %s", address, gai_strerror(status));
    int fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0)
        err(EXIT_FAILURE, "%s", address);
    freeaddrinfo(found);
    return fd;
}

// Serves at that socket until MHD_stop_daemon().
static struct MHD_Daemon *http_serve(int fd, http_answer *answers)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    http_answers = answers;
    signal(SIGPIPE, SIG_IGN); // a client may leave in the middle of an answer
    struct MHD_Daemon *http =
        MHD_start_daemon(flags, 0, NULL, NULL, http_reply, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END);
    if (http == NULL)
        errx(EXIT_FAILURE, "no HTTP server");
    return http;
}

#endif
