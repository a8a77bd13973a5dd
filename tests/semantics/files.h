// Files as checks make and look at them: short names for what every area does.
//
// Functions that make something return -1 with errno set when they cannot, so that their result can
// go to Report::Call; those that look return what they saw, or an impossible value.
#ifndef TESTS_SEMANTICS_FILES_H_
#define TESTS_SEMANTICS_FILES_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace posix_check {

// An open descriptor, closed at the end. Negative when the open failed; errno is then the open's.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Fd() { Close(); }

  int get() const { return fd_; }
  void Close();

 private:
  int fd_ = -1;
};

Fd Open(const std::string& path, int flags, mode_t mode = 0644);

// A new file of exactly this mode, whatever the umask.
int MakeFile(const std::string& path, std::string_view content = "", mode_t mode = 0644);
int MakeDir(const std::string& path, mode_t mode = 0755);
// A new file, or its content replaced.
int WriteFile(const std::string& path, std::string_view content);
// The whole content; "<ENOENT>" and the like when it cannot be read.
std::string ReadFile(const std::string& path);
// `size` bytes at `offset`; fewer at the end of the file.
std::string ReadAt(int fd, size_t size, off_t offset);
// The file's status, not following symlinks; all zero when there is none.
struct stat Look(const std::string& path);
struct stat Look(int fd);
// 07777 of its mode.
unsigned ModeOf(const std::string& path);
bool Exists(const std::string& path);
// The text of a symlink; "<ENOENT>" and the like when it cannot be read.
std::string LinkText(const std::string& path);
// The names in a directory without "." and "..".
std::set<std::string> Names(const std::string& path);
// Bytes that differ from place to place, the same for the same seed.
std::string Pattern(size_t size, unsigned seed = 1);
// -1 of a failed system call as its errno, anything else as 0.
int ErrnoOf(std::int64_t returned);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_FILES_H_
