// The scripts of the workloads: what a lane asks for over and over, built in a mounted session.
//
// UNIMPLEMENTED where a back-end does not take what a script needs.
#ifndef FSD_TESTS_BENCH_SCRIPTS_H_
#define FSD_TESTS_BENCH_SCRIPTS_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "tests/bench/load.h"
#include "tests/bench/session.h"

namespace fsd::bench {

absl::StatusOr<Script> GetattrScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> StatfsScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> LookupKnownScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> LookupUnknownScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> LookupAbsentScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> OpenScript(Session& session, size_t lane, size_t lanes);
template <size_t kBytes, bool kRandom>
absl::StatusOr<Script> ReadScript(Session& session, size_t lane, size_t lanes);
template <size_t kBytes, bool kRandom>
absl::StatusOr<Script> WriteScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> CreateScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> MakeDirectoryScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> RenameScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> ListScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> XattrScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> CompileScript(Session& session, size_t lane, size_t lanes);
absl::StatusOr<Script> DatabaseScript(Session& session, size_t lane, size_t lanes);

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_SCRIPTS_H_
