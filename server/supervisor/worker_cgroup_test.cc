#include "server/supervisor/worker_cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/fake_cgroups.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class WorkerCgroupTest : public ::testing::Test {
 protected:
  static constexpr pid_t kWorker = 77;

  WorkerCgroupTest() {
    cgroups_.AddExport("web");
    spec_.set_id("web");
  }

  WorkerCgroup Make() {
    subtree_.reset();
    subtree_ = *CgroupSubtree::Take(cgroups_.root());
    WorkerCgroup cgroup = MakeWorkerCgroup(subtree_.get(), spec_);
    ThrottleWorker(subtree_.get(), spec_, source_.get(), cgroup, sysfs_);
    return cgroup;
  }
  // As its worker does at its start.
  void MoveIn() { cgroups_.Write("export-web/cgroup.procs", "7\n77\n"); }
  // Of the worker that Make() was for, if its process is this one.
  std::string Relimit(pid_t pid = kWorker) {
    return RelimitWorker(
        subtree_.get(), spec_, pid, source_.get(),
        [](os::UniqueFd file, const std::string& text) {
          EXPECT_EQ(::write(file.get(), text.data(), text.size()),
                    static_cast<ssize_t>(text.size()));
        },
        sysfs_);
  }
  std::string Read(const std::string& file) const { return cgroups_.Read("export-web/" + file); }
  void LimitEverything() {
    ExportSpec::Limits& limits = *spec_.mutable_limits();
    limits.set_memory_bytes(uint64_t{512} << 20);
    limits.set_open_files(4096);
    limits.set_threads(64);
    limits.set_cpu_microseconds_per_second(1'500'000);
    limits.set_io_read_bytes_per_second(1'000'000);
    limits.set_io_write_operations_per_second(100);
  }
  // A disk of this number for every device.
  void GiveTheSourceADisk() {
    struct stat info;
    ASSERT_EQ(::fstat(source_.get(), &info), 0);
    device_ = std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
    std::filesystem::create_directory(cgroups_.Path("sysfs"));
    std::filesystem::create_directory(cgroups_.Path("sysfs/" + device_));
    sysfs_ = cgroups_.Path("sysfs");
  }

  const FakeCgroups cgroups_;
  const os::UniqueFd source_{::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  std::string sysfs_ = "/nonexistent";
  std::string device_;
  ExportSpec spec_;
  std::unique_ptr<CgroupSubtree> subtree_;
};

TEST_F(WorkerCgroupTest, EveryLimitIsWritten) {
  LimitEverything();
  GiveTheSourceADisk();

  const WorkerCgroup cgroup = Make();

  EXPECT_THAT(cgroup.unenforced, IsEmpty());
  EXPECT_EQ(Read("memory.max"), "536870912");
  EXPECT_EQ(Read("memory.swap.max"), "0");
  EXPECT_EQ(Read("memory.oom.group"), "1");
  EXPECT_EQ(Read("pids.max"), "64");
  EXPECT_EQ(Read("cpu.max"), "150000 100000");
  EXPECT_EQ(Read("io.max"), device_ + " rbps=1000000 wbps=max riops=max wiops=100");
}

TEST_F(WorkerCgroupTest, TheWorkersPlaceIsItsCgroup) {
  const WorkerCgroup cgroup = Make();

  ASSERT_EQ(::write(cgroup.procs.get(), "0", 1), 1);
  EXPECT_EQ(Read("cgroup.procs"), "0");
}

TEST_F(WorkerCgroupTest, OfAWorkerBeforeNoLimitIsLeft) {
  LimitEverything();
  GiveTheSourceADisk();
  Make();
  spec_.clear_limits();

  EXPECT_THAT(Make().unenforced, IsEmpty());

  for (const char* file : {"memory.max", "memory.swap.max", "pids.max", "cpu.max"}) {
    EXPECT_EQ(Read(file), "max") << file;
  }
  EXPECT_EQ(Read("memory.oom.group"), "0");
  EXPECT_EQ(Read("io.max"), device_ + " rbps=max wbps=max riops=max wiops=max");
}

TEST_F(WorkerCgroupTest, OfAWorkerThatRunsLimitsChangeAndGoAtOnce) {
  LimitEverything();
  GiveTheSourceADisk();
  Make();
  MoveIn();
  spec_.mutable_limits()->set_memory_bytes(uint64_t{1} << 30);
  spec_.mutable_limits()->clear_threads();
  spec_.mutable_limits()->set_cpu_microseconds_per_second(100'000);
  spec_.mutable_limits()->clear_io_read_bytes_per_second();
  spec_.mutable_limits()->clear_io_write_operations_per_second();

  EXPECT_THAT(Relimit(), IsEmpty());

  EXPECT_EQ(Read("memory.max"), "1073741824");
  EXPECT_EQ(Read("memory.swap.max"), "0");
  EXPECT_EQ(Read("pids.max"), "max");
  EXPECT_EQ(Read("cpu.max"), "10000 100000");
  EXPECT_EQ(Read("io.max"), device_ + " rbps=max wbps=max riops=max wiops=max");
}

TEST_F(WorkerCgroupTest, AnOldLimitThatCannotBeLiftedIsReported) {
  LimitEverything();
  GiveTheSourceADisk();
  Make();
  MoveIn();
  cgroups_.MakeUnwritable("export-web/pids.max");
  spec_.clear_limits();

  EXPECT_EQ(Relimit(),
            "threads: what was set before still holds: write max to pids.max: Is a directory");
  EXPECT_EQ(Read("memory.max"), "max");
}

TEST_F(WorkerCgroupTest, LimitsOfAWorkerWithoutCgroupAreReported) {
  LimitEverything();
  EXPECT_THAT(Relimit(), HasSubstr("threads: the server has no cgroup"));
  subtree_ = *CgroupSubtree::Take(cgroups_.root());
  cgroups_.Remove("export-web");
  EXPECT_THAT(Relimit(), HasSubstr("threads: find the worker's cgroup in "));
  spec_.clear_limits();
  EXPECT_THAT(Relimit(), IsEmpty());
}

TEST_F(WorkerCgroupTest, ALimitOfMemoryThatCannotBeSetOfAWorkerThatRunsIsReported) {
  Make();
  MoveIn();
  spec_.mutable_limits()->set_memory_bytes(1 << 30);
  cgroups_.MakeUnwritable("export-web/memory.max");
  EXPECT_THAT(Relimit(), HasSubstr("memory_bytes: open memory.max: Is a directory"));
  cgroups_.MakeUnwritable("export-web/memory.oom.group");
  EXPECT_THAT(Relimit(), HasSubstr("memory_bytes: write 1 to memory.oom.group: "));
  cgroups_.Write("cgroup.controllers", "cpu\n");
  subtree_.reset();
  subtree_ = *CgroupSubtree::Take(cgroups_.root());
  EXPECT_THAT(Relimit(), HasSubstr("has no memory controller"));
}

TEST_F(WorkerCgroupTest, NothingSlowsTheStartOfTheWorkersProgram) {
  LimitEverything();
  GiveTheSourceADisk();
  subtree_ = *CgroupSubtree::Take(cgroups_.root());

  MakeWorkerCgroup(subtree_.get(), spec_);

  EXPECT_EQ(Read("memory.max"), "536870912");
  EXPECT_EQ(Read("cpu.max"), "max");
  EXPECT_THAT(Read("io.max"), IsEmpty());
}

TEST_F(WorkerCgroupTest, LittleProcessorTimeIsCountedByTheSecond) {
  spec_.mutable_limits()->set_cpu_microseconds_per_second(9'999);
  Make();
  EXPECT_EQ(Read("cpu.max"), "9999 1000000");
}

TEST_F(WorkerCgroupTest, AKernelWithoutSwapHasNothingToLimitThere) {
  spec_.mutable_limits()->set_memory_bytes(uint64_t{1} << 30);
  cgroups_.Remove("export-web/memory.swap.max");
  EXPECT_THAT(Make().unenforced, IsEmpty());
  EXPECT_EQ(Read("memory.max"), "1073741824");
}

TEST_F(WorkerCgroupTest, AWriteThatFailsIsNamedAndCostsNoOtherLimit) {
  LimitEverything();
  GiveTheSourceADisk();
  cgroups_.MakeUnwritable("export-web/pids.max");

  const WorkerCgroup cgroup = Make();

  EXPECT_EQ(cgroup.unenforced, "threads: write 64 to pids.max: Is a directory");
  EXPECT_EQ(Read("memory.max"), "536870912");
  EXPECT_EQ(Read("cpu.max"), "150000 100000");
  EXPECT_TRUE(cgroup.procs.valid());
}

TEST_F(WorkerCgroupTest, ASourceWithoutDiskHasNoLimitsOfIo) {
  LimitEverything();
  EXPECT_EQ(Make().unenforced,
            "io_read_bytes_per_second, io_write_operations_per_second: the source's file system is "
            "on no block device of its own");
}

TEST_F(WorkerCgroupTest, AControllerThatIsMissingIsNamedForTheLimitsThatAreSetOnly) {
  cgroups_.Write("cgroup.controllers", "cpu\n");
  spec_.mutable_limits()->set_memory_bytes(uint64_t{1} << 30);
  spec_.mutable_limits()->set_cpu_microseconds_per_second(1'000'000);

  EXPECT_EQ(Make().unenforced, "memory_bytes: " + cgroups_.root() + " has no memory controller");
  EXPECT_EQ(Read("cpu.max"), "100000 100000");
}

TEST_F(WorkerCgroupTest, WithoutASubtreeEveryLimitButOpenFilesIsNamed) {
  LimitEverything();

  const WorkerCgroup cgroup = MakeWorkerCgroup(nullptr, spec_);

  EXPECT_FALSE(cgroup.procs.valid());
  EXPECT_THAT(cgroup.unenforced,
              AllOf(HasSubstr("memory_bytes: the server has no cgroup to divide"),
                    HasSubstr("threads: "), HasSubstr("cpu_microseconds_per_second: "),
                    HasSubstr("io_read_bytes_per_second, io_write_operations_per_second: "),
                    Not(HasSubstr("open_files"))));
}

TEST_F(WorkerCgroupTest, WithoutASubtreeAnExportWithoutSuchLimitsLacksNothing) {
  spec_.mutable_limits()->set_open_files(4096);
  EXPECT_THAT(MakeWorkerCgroup(nullptr, spec_).unenforced, IsEmpty());
}

TEST_F(WorkerCgroupTest, ACgroupThatCannotBeMadeLeavesTheWorkerWithoutOne) {
  cgroups_.Remove("export-web");
  cgroups_.Write("export-web", "in the way");
  spec_.mutable_limits()->set_threads(64);

  const WorkerCgroup cgroup = Make();

  EXPECT_FALSE(cgroup.procs.valid());
  EXPECT_THAT(cgroup.unenforced, HasSubstr("threads: make the worker's cgroup in "));
}

TEST_F(WorkerCgroupTest, LimitsOfAnEarlierServersWorkerAreSetOnceMoreAndItIsNotKilled) {
  LimitEverything();
  GiveTheSourceADisk();
  Make();
  MoveIn();
  cgroups_.Write("export-web/memory.max", "1");
  cgroups_.Write("export-web/cgroup.kill", "");

  EXPECT_THAT(Relimit(), IsEmpty());
  EXPECT_EQ(Read("memory.max"), "536870912");
  EXPECT_EQ(Read("cgroup.kill"), "");
}

TEST_F(WorkerCgroupTest, LimitsOfAWorkerThatLivesElsewhereDoNotHold) {
  LimitEverything();
  Make();
  MoveIn();

  EXPECT_THAT(Relimit(kWorker + 1), AllOf(HasSubstr("memory_bytes"), HasSubstr("outside")));
}

}  // namespace
}  // namespace fsd::supervisor
