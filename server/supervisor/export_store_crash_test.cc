// What is left of a record when the host stops in the middle of writing it.
//
// The store's system calls come to the functions below, of which the linker takes these instead of
// libc's. They count the calls that change something and, after the n-th, end the process as a
// crash would: on the spot, or with the loss of all that was not synced. A child does one change
// and crashes after its n-th call, for every n; what its parent finds then must be the state before
// the change or the one after it, and the latter if the child was told that it is done.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/errors/check.h"
#include "server/supervisor/export_store.h"
#include "server/supervisor/record_format.h"

namespace fsd::supervisor {
namespace {

constexpr int kCrashed = 77;
constexpr int kAcknowledged = 78;

// What a crash leaves of what was not synced.
enum class Loss {
  kNothing,  // the process is killed, the host lives
  kData,     // power: names are as they were told, files that were not synced are empty
  kNames,    // power: besides, names are as when their directory was synced last
};

// The disk as the child changes it; off in the parent.
struct Disk {
  bool on = false;
  Loss loss = Loss::kNothing;
  int calls_left = 0;
  int calls = 0;
  std::string directory;                             // of the records
  std::map<std::string, bool> synced;                // by name: is what it holds on disk
  std::map<std::string, std::string> durable_names;  // with the bytes that a crash leaves there
};
Disk disk;

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::map<std::string, std::string> ReadAll(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files[entry.path().filename()] = ReadBytes(entry.path());
  }
  return files;
}

// As the next program finds the directory.
void LoseWhatIsNotSynced() {
  disk.on = false;
  if (disk.loss == Loss::kNothing) return;
  std::map<std::string, std::string> left;
  if (disk.loss == Loss::kNames) {
    left = disk.durable_names;
  } else {
    for (const auto& [name, bytes] : ReadAll(disk.directory)) {
      const auto synced = disk.synced.find(name);
      left[name] = synced == disk.synced.end() || synced->second ? bytes : "";
    }
  }
  for (const auto& [name, bytes] : ReadAll(disk.directory)) {
    std::filesystem::remove(disk.directory + "/" + name);
  }
  for (const auto& [name, bytes] : left) {
    std::ofstream(disk.directory + "/" + name, std::ios::binary) << bytes;
  }
}

// After each call that changes something.
void CountCall() {
  if (!disk.on) return;
  ++disk.calls;
  if (--disk.calls_left > 0) return;
  LoseWhatIsNotSynced();
  ::_exit(kCrashed);
}

std::string NameOf(int fd) {
  char target[4096] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  if (::readlink(link.c_str(), target, sizeof target - 1) < 0) return "";
  return target;
}

}  // namespace
}  // namespace fsd::supervisor

using fsd::supervisor::CountCall;
using fsd::supervisor::disk;

extern "C" {

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const int fd = static_cast<int>(::syscall(SYS_openat, directory, path, flags, mode));
  if (disk.on && fd >= 0 && (flags & (O_CREAT | O_TRUNC)) != 0) {
    disk.synced[path] = false;
    CountCall();
  }
  return fd;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  // In two, so that a crash finds half of it.
  const size_t part = disk.on && size > 1 ? size / 2 : size;
  const ssize_t written = ::syscall(SYS_write, fd, bytes, part);
  if (disk.on) CountCall();
  return written;
}

int fsync(int fd) {
  const int result = static_cast<int>(::syscall(SYS_fsync, fd));
  if (!disk.on || result != 0) return result;
  const std::string path = fsd::supervisor::NameOf(fd);
  if (path == disk.directory) {
    disk.durable_names.clear();
    for (const auto& [name, bytes] : fsd::supervisor::ReadAll(disk.directory)) {
      const auto synced = disk.synced.find(name);
      disk.durable_names[name] = synced == disk.synced.end() || synced->second ? bytes : "";
    }
  } else {
    disk.synced[std::filesystem::path(path).filename()] = true;
    // A file whose name is on disk gets its bytes there too.
    const auto durable = disk.durable_names.find(std::filesystem::path(path).filename());
    if (durable != disk.durable_names.end()) durable->second = fsd::supervisor::ReadBytes(path);
  }
  CountCall();
  return result;
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  const int result =
      static_cast<int>(::syscall(SYS_renameat2, from_directory, from, to_directory, to, 0));
  if (disk.on && result == 0) {
    disk.synced[to] = disk.synced[from];
    disk.synced.erase(from);
    CountCall();
  }
  return result;
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  const int result = static_cast<int>(::syscall(SYS_unlinkat, directory, path, flags));
  if (disk.on && result == 0) CountCall();
  return result;
}

}  // extern "C"

namespace fsd::supervisor {
namespace {

using internal::ExportRecord;

ExportRecord RecordOf(const std::string& id, const std::string& tag) {
  ExportRecord record;
  record.set_version(kExportRecordVersion);
  record.set_uid("uid of " + id);
  record.mutable_spec()->set_id(id);
  record.mutable_spec()->set_tag(tag);
  return record;
}

struct Change {
  const char* name;
  bool is_there_before;
  std::function<absl::Status(ExportStore&)> change;
  std::optional<std::string> after;  // the record's tag; nothing: there is none
};

const std::vector<Change>& Changes() {
  static const auto& changes = *new std::vector<Change>{
      {"Create", false,
       [](ExportStore& store) {
         // As the supervisor creates: others may know of it before it is synced.
         const absl::Status saved = store.Save(RecordOf("web", "new"));
         return saved.ok() ? store.Sync("web") : saved;
       },
       "new"},
      {"Update", true, [](ExportStore& store) { return store.Replace(RecordOf("web", "new")); },
       "new"},
      {"Delete", true, [](ExportStore& store) { return store.Remove("web"); }, std::nullopt}};
  return changes;
}

class ExportStoreCrashTest : public testing::TestWithParam<Loss> {
 protected:
  ExportStoreCrashTest() {
    char name[] = "/tmp/fsd-crash-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  ~ExportStoreCrashTest() override { std::filesystem::remove_all(root_); }

  std::string state_dir() const { return root_ + "/state"; }
  std::string records_dir() const { return state_dir() + "/exports"; }

  // The child's exit status: kCrashed after `calls` calls, or kAcknowledged.
  int RunChild(const Change& change, int calls) {
    std::filesystem::remove_all(state_dir());
    {
      auto store = *ExportStore::Open(state_dir());
      FSD_CHECK(store.Save(RecordOf("db", "other")).ok());
      if (change.is_there_before) FSD_CHECK(store.Save(RecordOf("web", "old")).ok());
    }
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = *ExportStore::Open(state_dir());
      disk = Disk{};
      disk.loss = GetParam();
      disk.calls_left = calls;
      disk.directory = records_dir();
      disk.durable_names = ReadAll(records_dir());
      disk.on = true;
      const absl::Status status = change.change(store);
      // Acknowledged; the crash comes right after it.
      LoseWhatIsNotSynced();
      ::_exit(status.ok() ? kAcknowledged : 1);
    }
    int status = 0;
    FSD_CHECK(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // The tags of the records that the next supervisor reads.
  std::map<std::string, std::string> TagsFound() {
    std::map<std::string, std::string> tags;
    auto store = *ExportStore::Open(state_dir());
    const auto records = store.LoadAll();
    EXPECT_TRUE(records.ok());
    for (const ExportRecord& record : *records) tags[record.spec().id()] = record.spec().tag();
    return tags;
  }

  std::string root_;
};

TEST_P(ExportStoreCrashTest, ACrashLeavesTheOldStateOrTheNewAndAnAcknowledgedOneStays) {
  for (const Change& change : Changes()) {
    int status = kCrashed;
    int calls = 1;
    for (; status == kCrashed; ++calls) {
      SCOPED_TRACE(testing::Message() << change.name << ", crash after call " << calls);
      status = RunChild(change, calls);
      ASSERT_TRUE(status == kCrashed || status == kAcknowledged) << status;

      const std::map<std::string, std::string> found = TagsFound();

      EXPECT_EQ(found.at("db"), "other");
      const auto web = found.find("web");
      const std::optional<std::string> now =
          web == found.end() ? std::nullopt : std::optional(web->second);
      const std::optional<std::string> before =
          change.is_there_before ? std::optional<std::string>("old") : std::nullopt;
      if (status == kAcknowledged) {
        EXPECT_EQ(now, change.after);
      } else {
        EXPECT_TRUE(now == before || now == change.after) << now.value_or("none");
      }
    }
    // Not one call only: each change is written somewhere and synced.
    EXPECT_GE(calls, 3) << change.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExportStoreCrashTest,
                         testing::Values(Loss::kNothing, Loss::kData, Loss::kNames),
                         [](const testing::TestParamInfo<Loss>& loss) {
                           return loss.param == Loss::kNothing ? "Killed"
                                  : loss.param == Loss::kData  ? "PowerLostData"
                                                               : "PowerLostNames";
                         });

TEST(InterposedCallsTest, AreSeen) {
  char name[] = "/tmp/fsd-crash-XXXXXX";
  const std::string root = ::mkdtemp(name);
  {
    auto store = *ExportStore::Open(root);
    disk = Disk{};
    disk.directory = root + "/exports";
    disk.calls_left = 1000;
    disk.on = true;
    EXPECT_TRUE(store.Replace(RecordOf("web", "new")).ok());
    disk.on = false;
  }
  // Open, two writes at least, a sync of the file, a rename, a sync of the directory.
  EXPECT_GE(disk.calls, 6);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace fsd::supervisor
