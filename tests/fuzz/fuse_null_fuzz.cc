// A guest that sends anything, to a file system that is not there: to one that fails whatever is
// asked of it, then to one that grants it. Nearly all of the time goes into the decoders.
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "backends/filesystem.h"
#include "tests/fuzz/request_row.h"

namespace {

using namespace fsd::backends;  // NOLINT: every noun of it

size_t BytesOf(IoVectors vectors) {
  size_t bytes = 0;
  for (const iovec& piece : vectors) bytes += piece.iov_len;
  return bytes;
}

// Touches each byte, so that the sanitizers see what was lent.
size_t Fill(IoVectors vectors) {
  for (const iovec& piece : vectors) {
    if (piece.iov_len != 0) std::memset(piece.iov_base, 'n', piece.iov_len);
  }
  return BytesOf(vectors);
}
size_t Sum(IoVectors vectors) {
  size_t sum = 0;
  for (const iovec& piece : vectors) {
    for (size_t i = 0; i < piece.iov_len; ++i)
      sum += static_cast<const uint8_t*>(piece.iov_base)[i];
  }
  return sum;
}

// What everyone gets.
Attributes AnyAttributes() {
  Attributes attributes{};
  attributes.stx_ino = ~uint64_t{0};
  attributes.stx_mode = S_IFREG | 07777;
  attributes.stx_size = ~uint64_t{0};
  attributes.stx_attributes = STATX_ATTR_MOUNT_ROOT;
  return attributes;
}
Entry AnyEntry() { return {NodeId{~uint64_t{0}}, AnyAttributes()}; }
CreatedFile AnyFile() { return {.entry = AnyEntry(), .handle = FileHandle{7}}; }

// Says yes to everything.
class YesFilesystem : public Filesystem {
 public:
  Outcome<Entry> Lookup(Call<Entry>, NodeId, std::string_view name) override {
    if (name.starts_with('-')) return fsd::Errno(ENOENT);
    return AnyEntry();
  }
  Outcome<Entry> Symlink(Call<Entry>, NodeId, std::string_view, std::string_view,
                         const Creation&) override {
    return AnyEntry();
  }
  Outcome<Entry> MakeNode(Call<Entry>, NodeId, std::string_view, uint32_t, dev_t,
                          const Creation&) override {
    return AnyEntry();
  }
  Outcome<Entry> MakeDirectory(Call<Entry>, NodeId, std::string_view, uint32_t,
                               const Creation&) override {
    return AnyEntry();
  }
  Outcome<Entry> Link(Call<Entry>, NodeId, NodeId, std::string_view) override { return AnyEntry(); }
  Outcome<size_t> ReadLink(Call<size_t>, NodeId, IoVectors destination) override {
    return Fill(destination);
  }
  Outcome<Attributes> GetAttributes(Call<Attributes>, NodeId, std::optional<FileHandle>) override {
    return AnyAttributes();
  }
  Outcome<Attributes> SetAttributes(Call<Attributes>, NodeId, std::optional<FileHandle>,
                                    const AttributeChanges&) override {
    return AnyAttributes();
  }
  Outcome<struct ::statvfs> StatFilesystem(Call<struct ::statvfs>, NodeId) override {
    struct ::statvfs all;
    std::memset(&all, 0xff, sizeof all);
    return all;
  }
  Outcome<OpenFile> Open(Call<OpenFile>, NodeId, OpenOptions) override { return OpenFile{}; }
  Outcome<CreatedFile> Create(Call<CreatedFile>, NodeId, std::string_view, uint32_t, OpenOptions,
                              const Creation&) override {
    return AnyFile();
  }
  Outcome<CreatedFile> CreateTemporary(Call<CreatedFile>, NodeId, uint32_t, OpenOptions,
                                       const Creation&) override {
    return AnyFile();
  }
  Outcome<size_t> Read(Call<size_t>, NodeId, FileHandle, uint64_t, IoVectors destination) override {
    return Fill(destination);
  }
  Outcome<size_t> Write(Call<size_t>, NodeId, FileHandle, uint64_t, IoVectors source,
                        WriteOptions) override {
    [[maybe_unused]] static volatile size_t sum;
    sum = Sum(source);
    return BytesOf(source);
  }
  Outcome<uint64_t> Seek(Call<uint64_t>, NodeId, FileHandle, uint64_t offset, uint32_t) override {
    return offset;
  }
  Outcome<uint64_t> CopyRange(Call<uint64_t>, FileRange, FileRange, uint64_t length,
                              uint32_t) override {
    return length;
  }
  Outcome<size_t> Ioctl(Call<size_t>, NodeId, FileHandle, uint32_t, std::span<const char> input,
                        IoVectors output) override {
    [[maybe_unused]] static volatile char last;
    for (const char byte : input) last = byte;
    return Fill(output);
  }
  Outcome<FileLock> GetLock(Call<FileLock>, NodeId, FileHandle, uint64_t,
                            const FileLock& lock) override {
    return lock;
  }
  Outcome<size_t> GetXattr(Call<size_t>, NodeId, std::string_view, IoVectors destination) override {
    return destination.empty() ? size_t{100} : Fill(destination);
  }
  Outcome<size_t> ListXattr(Call<size_t>, NodeId, IoVectors destination) override {
    return destination.empty() ? size_t{100} : Fill(destination);
  }
  Outcome<OpenFile> OpenDirectory(Call<OpenFile>, NodeId, uint32_t) override { return OpenFile{}; }
  Outcome<void> ReadDirectory(Call<void>, NodeId, FileHandle, uint64_t offset,
                              DirectorySink& sink) override {
    return List(offset, sink, nullptr);
  }
  Outcome<void> ReadDirectoryPlus(Call<void>, NodeId, FileHandle, uint64_t offset,
                                  DirectorySink& sink) override {
    const Entry entry = AnyEntry();
    return List(offset, sink, &entry);
  }

 private:
  // Names of every length.
  static Outcome<void> List(uint64_t offset, DirectorySink& sink, const Entry* entry) {
    static constexpr std::string_view kLong =
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
        "nn";
    for (uint64_t i = 0;; ++i) {
      const std::string_view name = kLong.substr(0, 1 + (offset + i) % kLong.size());
      if (!sink.Fits(name)) break;
      sink.Add({.name = name, .ino = i, .next_offset = offset + i + 1, .type = 8},
               i % 2 == 0 ? entry : nullptr);
    }
    return fsd::ErrnoOr<void>();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Filesystem no;
  YesFilesystem yes;
  fsd::fuzz::ServeRow(no, {data, size});
  fsd::fuzz::ServeRow(yes, {data, size});
  return 0;
}
