// The contract of every backend, kept by the passthrough file system.
#include <memory>
#include <utility>

#include "backends/filesystem_contract.h"
#include "backends/late_filesystem.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::backends {
namespace {

passthrough::Options WithAll() {
  passthrough::Options options;
  options.xattr = true;
  options.shared_locks = true;
  return options;
}

class OverDirectory : public FilesystemUnderTest {
 public:
  explicit OverDirectory(passthrough::Options options = WithAll())
      : filesystem_(passthrough::Serve(directory_.path(), std::move(options))) {}
  Filesystem& filesystem() override { return *filesystem_; }

 protected:
  passthrough::TemporaryDirectory directory_;
  std::unique_ptr<Filesystem> filesystem_;
};

class LateOverDirectory : public OverDirectory {
 public:
  Filesystem& filesystem() override { return late_; }

 private:
  LateFilesystem late_{*filesystem_, 42};
};

const FilesystemFactory kAtOnce{"AtOnce", [] { return std::make_unique<OverDirectory>(); }};
const FilesystemFactory kLate{"Late", [] { return std::make_unique<LateOverDirectory>(); }};
const FilesystemFactory kByDefault{
    "ByDefault",
    [] { return std::make_unique<OverDirectory>(passthrough::Options{}); },
    {.xattrs = false, .locks = false}};
const auto kName = [](const auto& info) { return info.param.name; };

INSTANTIATE_TEST_SUITE_P(Passthrough, FilesystemContract,
                         ::testing::Values(kAtOnce, kLate, kByDefault), kName);
INSTANTIATE_TEST_SUITE_P(Passthrough, XattrContract, ::testing::Values(kAtOnce, kLate), kName);
INSTANTIATE_TEST_SUITE_P(Passthrough, LockContract, ::testing::Values(kAtOnce, kLate), kName);

}  // namespace
}  // namespace fsd::backends
