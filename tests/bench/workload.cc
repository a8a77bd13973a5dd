#include "tests/bench/workload.h"

#include "tests/bench/bare_calls.h"
#include "tests/bench/scripts.h"
#include "tests/bench/tree.h"

namespace fsd::bench {
namespace {

constexpr Workload kWorkloads[] = {
    {"GETATTR", Target::kHalfOfPeers, false, false, GetattrScript, BareGetattr},
    {"STATFS", Target::kHalfOfPeers, false, false, StatfsScript, BareStatfs},
    {"LOOKUP known", Target::kHalfOfPeers, false, false, LookupKnownScript, BareLookupKnown},
    {"LOOKUP unknown", Target::kHalfOfPeers, false, false, LookupUnknownScript, BareLookupUnknown},
    {"LOOKUP absent", Target::kHalfOfPeers, false, false, LookupAbsentScript, BareLookupAbsent},
    {"OPEN RELEASE", Target::kHalfOfPeers, false, false, OpenScript, BareOpen},
    {"READ 4K random", Target::kMostOfPeers, false, false, ReadScript<4 * kKiB, true>,
     BareRead<4 * kKiB, true>},
    {"READ 128K", Target::kBare, false, false, ReadScript<128 * kKiB, false>,
     BareRead<128 * kKiB, false>},
    {"READ 1M", Target::kBare, false, false, ReadScript<kMiB, false>, BareRead<kMiB, false>},
    {"WRITE 4K random", Target::kMostOfPeers, false, false, WriteScript<4 * kKiB, true>,
     BareWrite<4 * kKiB, true>},
    {"WRITE 128K", Target::kBare, false, false, WriteScript<128 * kKiB, false>,
     BareWrite<128 * kKiB, false>},
    {"WRITE 1M", Target::kBare, false, false, WriteScript<kMiB, false>, BareWrite<kMiB, false>},
    {"CREATE RELEASE UNLINK", Target::kHalfOfPeers, false, true, CreateScript, BareCreate},
    {"MKDIR RMDIR", Target::kNone, false, true, MakeDirectoryScript, BareMakeDirectory},
    {"RENAME", Target::kNone, false, false, RenameScript, BareRename},
    {"READDIRPLUS 32K", Target::kHalfOfPeers, false, false, ListScript, BareList},
    {"SETXATTR GETXATTR", Target::kNone, true, false, XattrScript, BareXattr},
    {"compile", Target::kNone, false, true, CompileScript, nullptr},
    {"database", Target::kNone, false, false, DatabaseScript, nullptr},
};

}  // namespace

std::span<const Workload> Workloads() { return kWorkloads; }

}  // namespace fsd::bench
