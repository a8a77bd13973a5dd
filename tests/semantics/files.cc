#include "tests/semantics/files.h"

#include <dirent.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "tests/semantics/check.h"

namespace posix_check {

void Fd::Close() {
  const int saved = errno;
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  errno = saved;
}

Fd Open(const std::string& path, int flags, mode_t mode) {
  return Fd(open(path.c_str(), flags | O_CLOEXEC, mode));
}

int MakeFile(const std::string& path, std::string_view content, mode_t mode) {
  Fd fd = Open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (fd.get() < 0) return -1;
  if (write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return -1;
  }
  return fchmod(fd.get(), mode);
}

int MakeDir(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), 0700) != 0) return -1;
  return chmod(path.c_str(), mode);
}

int WriteFile(const std::string& path, std::string_view content) {
  Fd fd = Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd.get() < 0) return -1;
  return write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size())
             ? 0
             : -1;
}

std::string ReadFile(const std::string& path) {
  Fd fd = Open(path, O_RDONLY);
  if (fd.get() < 0) return "<" + ErrnoName(errno) + ">";
  std::string content;
  char buffer[65536];
  while (true) {
    const ssize_t count = read(fd.get(), buffer, sizeof(buffer));
    if (count < 0) return "<" + ErrnoName(errno) + ">";
    if (count == 0) return content;
    content.append(buffer, count);
  }
}

std::string ReadAt(int fd, size_t size, off_t offset) {
  std::string content(size, '\0');
  const ssize_t count = pread(fd, content.data(), size, offset);
  if (count < 0) return "<" + ErrnoName(errno) + ">";
  content.resize(count);
  return content;
}

struct stat Look(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return {};
  return status;
}

struct stat Look(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return {};
  return status;
}

unsigned ModeOf(const std::string& path) { return Look(path).st_mode & 07777; }

bool Exists(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0;
}

std::string LinkText(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t count = readlink(path.c_str(), text, sizeof(text));
  if (count < 0) return "<" + ErrnoName(errno) + ">";
  return std::string(text, count);
}

std::set<std::string> Names(const std::string& path) {
  std::set<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace(name);
  }
  closedir(directory);
  return names;
}

std::string Pattern(size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  unsigned state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

int ErrnoOf(std::int64_t returned) { return returned == -1 ? errno : 0; }

}  // namespace posix_check
