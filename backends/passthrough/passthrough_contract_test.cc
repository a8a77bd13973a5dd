// The contract of every backend, kept by the passthrough file system.
#include <memory>
#include <utility>

#include "backends/filesystem_contract.h"
#include "backends/late_filesystem.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::backends {
namespace {

class OverDirectory : public FilesystemUnderTest {
 public:
  Filesystem& filesystem() override { return *filesystem_; }

 protected:
  passthrough::TemporaryDirectory directory_;
  std::unique_ptr<Filesystem> filesystem_ = passthrough::Serve(directory_.path());
};

class LateOverDirectory : public OverDirectory {
 public:
  Filesystem& filesystem() override { return late_; }

 private:
  LateFilesystem late_{*filesystem_, 42};
};

INSTANTIATE_TEST_SUITE_P(
    Passthrough, FilesystemContract,
    ::testing::Values(FilesystemFactory{"AtOnce", [] { return std::make_unique<OverDirectory>(); }},
                      FilesystemFactory{"Late",
                                        [] { return std::make_unique<LateOverDirectory>(); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fsd::backends
