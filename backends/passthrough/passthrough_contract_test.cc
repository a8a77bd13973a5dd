// The contract of every backend, kept by the passthrough file system.
#include <memory>
#include <utility>

#include "backends/filesystem_contract.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::backends {
namespace {

class OverDirectory : public FilesystemUnderTest {
 public:
  Filesystem& filesystem() override { return *filesystem_; }

 private:
  passthrough::TemporaryDirectory directory_;
  std::unique_ptr<Filesystem> filesystem_ = passthrough::Serve(directory_.path());
};

INSTANTIATE_TEST_SUITE_P(Passthrough, FilesystemContract,
                         ::testing::Values(FilesystemFactory{
                             "passthrough", [] { return std::make_unique<OverDirectory>(); }}));

}  // namespace
}  // namespace fsd::backends
