/* A process whose main thread is gone while another one lives: a zombie in /proc, and not dead. */
#include <pthread.h>
#include <unistd.h>

static void *live(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, live, NULL) != 0)
        return 1;
    pthread_exit(NULL);
}
