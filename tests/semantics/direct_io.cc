#include "tests/semantics/direct_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/semantics/files.h"

namespace posix_check {

AlignedBuffer Aligned(std::string_view bytes, size_t shift) {
  const size_t size = (bytes.size() + shift + kBlock) / kBlock * kBlock;
  AlignedBuffer buffer(static_cast<char*>(aligned_alloc(kBlock, size)));
  memcpy(buffer.get() + shift, bytes.data(), bytes.size());
  return buffer;
}

ssize_t DirectWrite(int fd, std::string_view bytes, off_t offset, size_t shift) {
  return pwrite(fd, Aligned(bytes, shift).get() + shift, bytes.size(), offset);
}

std::string DirectRead(int fd, size_t size, off_t offset, size_t shift) {
  const AlignedBuffer buffer = Aligned(std::string(size, '~'), shift);
  const ssize_t count = pread(fd, buffer.get() + shift, size, offset);
  if (count < 0) return "<" + ErrnoName(errno) + ">";
  return std::string(buffer.get() + shift, count);
}

void AddDirectIoCheck(Registry& registry, const std::string& name, const Body& body) {
  registry.Add("direct_io/" + name, [body](Report& r) {
    r.Call("make", MakeFile("file", Pattern(kDirectFileSize)));
    if (Open("file", O_RDWR | O_DIRECT).get() < 0 && errno == EINVAL) {
      return r.Unsupported("no O_DIRECT");
    }
    body(r);
  });
}

}  // namespace posix_check
