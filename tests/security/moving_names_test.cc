// The wall around the host's files while a process of the host's moves names under the data plane's
// hands. Each race ends after so many rounds of the mover's, not after a time.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include "backends/passthrough/component_name.h"
#include "backends/passthrough/safe_open.h"
#include "gtest/gtest.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"
#include "tests/security/climb.h"
#include "tests/security/host_process.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

constexpr uint64_t kRounds = 10'000;

const std::vector<Behind> kHeld = {
    {kEveryMode, "never"}, {kMounts, "never"}, {kLandlock, "never"}, {kNoWalls, "secret"}};

// "secret" once `look` has found it, "never" if it has not while the racer ran its rounds.
std::string LookDuring(const Racer& racer, const std::function<std::string()>& look) {
  const uint64_t last = racer.rounds() + kRounds;
  while (racer.rounds() < last) {
    if (look() == "secret") return "secret";
  }
  return "never";
}

std::string ContentsByPath(int directory, const char* path) {
  const os::UniqueFd file(::openat(directory, path, O_RDONLY | O_CLOEXEC));
  return Contents(file.get());
}

// As the passthrough backend looks a file up and opens it: name by name, then through /proc.
std::string ContentsByNames(const Inmate& in, std::initializer_list<const char*> names) {
  int at = in.root;
  os::UniqueFd found;
  for (const char* name : names) {
    ErrnoOr<os::UniqueFd> child = passthrough::OpenChild(at, passthrough::ComponentName(name));
    if (!child.ok()) return ::strerrorname_np(child.error().value());
    found = *std::move(child);
    at = found.get();
  }
  const auto file = passthrough::Reopen(in.proc_self_fd, at, S_IFREG, O_RDONLY);
  return file.ok() ? Contents(file->get()) : ::strerrorname_np(file.error().value());
}

class MovingNames : public ::testing::Test {
 protected:
  Prison prison_;
  const std::string directory_ = prison_.export_path() + "/sub";
};

TEST_F(MovingNames, ADirectoryThatBecomesASymbolicLinkLeadsNowhere) {
  const std::string link = prison_.export_path() + "/link";
  ASSERT_EQ(::symlink(prison_.outside_path().c_str(), link.c_str()), 0);
  const auto exchange = [&] {
    ::renameat2(AT_FDCWD, directory_.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
  };
  const Racer racer(exchange, exchange);
  ExpectTheyHold(prison_, "the host's files, by a race of names",
                 {{"one path",
                   [&](const Inmate& in) {
                     return LookDuring(racer,
                                       [&] { return ContentsByPath(in.root, "sub/secret"); });
                   },
                   kHeld}});
}

TEST_F(MovingNames, TheBackendsOwnWayOfOpeningIsAWallBesides) {
  const std::string link = prison_.export_path() + "/link";
  ASSERT_EQ(::symlink(prison_.outside_path().c_str(), link.c_str()), 0);
  const auto exchange = [&] {
    ::renameat2(AT_FDCWD, directory_.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
  };
  const Racer racer(exchange, exchange);
  const Attempt attempt = [&](const Inmate& in) {
    return LookDuring(racer, [&] { return ContentsByNames(in, {"sub", "secret"}); });
  };
  for (const Walls walls : {kEveryWall, kEveryWallOfChroot, kEveryWallOfNone, kNoWalls}) {
    EXPECT_EQ(prison_.Run(walls, attempt), "never") << walls;
  }
}

TEST_F(MovingNames, ADirectoryThatLeavesTheExportHasNoParent) {
  const std::string moved = prison_.outside_path() + "/moved";
  const Racer racer([&] { ::rename(directory_.c_str(), moved.c_str()); },
                    [&] { ::rename(moved.c_str(), directory_.c_str()); });
  ExpectTheyHold(prison_, "the host's files, by a directory moved out",
                 {{"its dot-dot",
                   [&](const Inmate& in) {
                     os::UniqueFd inside;
                     while (!inside.valid()) inside.reset(::openat(in.root, "sub", O_PATH));
                     return LookDuring(racer,
                                       [&] { return ContentsByPath(inside.get(), "../secret"); });
                   },
                   kHeld}});
}

TEST_F(MovingNames, TheBackendsOwnWayToAParentIsAWallBesides) {
  const std::string moved = prison_.outside_path() + "/moved";
  const Racer racer([&] { ::rename(directory_.c_str(), moved.c_str()); },
                    [&] { ::rename(moved.c_str(), directory_.c_str()); });
  const Attempt attempt = [&](const Inmate& in) {
    os::UniqueFd inside;
    while (!inside.valid()) inside.reset(::openat(in.root, "sub", O_PATH));
    return LookDuring(racer, [&]() -> std::string {
      const auto parent = passthrough::OpenParent(inside.get(), in.root);
      return parent.ok() ? ContentsByPath(parent->get(), "secret") : "none";
    });
  };
  for (const Walls walls : {kEveryWall, kEveryWallOfChroot, kEveryWallOfNone}) {
    EXPECT_EQ(prison_.Run(walls, attempt), "never") << walls;
  }
}

}  // namespace
}  // namespace fsd::security
