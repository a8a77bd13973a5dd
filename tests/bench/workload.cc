#include "tests/bench/workload.h"

#include "tests/bench/bare_calls.h"
#include "tests/bench/scripts.h"
#include "tests/bench/tree.h"

namespace fsd::bench {
namespace {

constexpr Workload kWorkloads[] = {
    {"GETATTR", Target::kHalfOfPeers, false, GetattrScript, BareGetattr},
    {"STATFS", Target::kHalfOfPeers, false, StatfsScript, BareStatfs},
    {"LOOKUP known", Target::kHalfOfPeers, false, LookupKnownScript, BareLookupKnown},
    {"LOOKUP unknown", Target::kHalfOfPeers, false, LookupUnknownScript, BareLookupUnknown},
    {"LOOKUP absent", Target::kHalfOfPeers, false, LookupAbsentScript, BareLookupAbsent},
    {"OPEN RELEASE", Target::kHalfOfPeers, false, OpenScript, BareOpen},
    {"READ 4K random", Target::kMostOfPeers, false, ReadScript<4 * kKiB, true>,
     BareRead<4 * kKiB, true>},
    {"READ 128K", Target::kBare, false, ReadScript<128 * kKiB, false>, BareRead<128 * kKiB, false>},
    {"READ 1M", Target::kBare, false, ReadScript<kMiB, false>, BareRead<kMiB, false>},
    {"WRITE 4K random", Target::kMostOfPeers, false, WriteScript<4 * kKiB, true>,
     BareWrite<4 * kKiB, true>},
    {"WRITE 128K", Target::kBare, false, WriteScript<128 * kKiB, false>,
     BareWrite<128 * kKiB, false>},
    {"WRITE 1M", Target::kBare, false, WriteScript<kMiB, false>, BareWrite<kMiB, false>},
    {"CREATE RELEASE UNLINK", Target::kHalfOfPeers, false, CreateScript, BareCreate},
    {"MKDIR RMDIR", Target::kNone, false, MakeDirectoryScript, BareMakeDirectory},
    {"RENAME", Target::kNone, false, RenameScript, BareRename},
    {"READDIRPLUS 32K", Target::kHalfOfPeers, false, ListScript, BareList},
    {"SETXATTR GETXATTR", Target::kNone, true, XattrScript, BareXattr},
    {"compile", Target::kNone, false, CompileScript, nullptr},
    {"database", Target::kNone, false, DatabaseScript, nullptr},
};

}  // namespace

std::span<const Workload> Workloads() { return kWorkloads; }

}  // namespace fsd::bench
