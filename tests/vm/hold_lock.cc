// hold_lock flock|fcntl FILE COMMAND...: runs the command while it holds an exclusive lock of this
// kind on the whole file. Does not wait: ends with 1 when others hold one. Static: it runs in a
// guest that has nothing to load.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int fd = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    perror(argv[2]);
    return 2;
  }
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  const bool whole = strcmp(argv[1], "flock") == 0;
  if ((whole ? flock(fd, LOCK_EX | LOCK_NB) : fcntl(fd, F_SETLK, &lock)) != 0) return 1;
  const pid_t pid = fork();
  if (pid < 0) return 2;
  if (pid == 0) {
    execvp(argv[3], argv + 3);
    _exit(127);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return 2;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
