/* A process whose main thread is gone while another one lives: a zombie in /proc, and not dead. It ends with its
   input. */
#include <pthread.h>
#include <unistd.h>

static void *live(void *unused)
{
    char byte;
    (void)unused;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    _exit(0);
}

int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, live, NULL) != 0)
        return 1;
    pthread_exit(NULL);
}
