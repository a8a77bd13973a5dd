// Manifests: exports as files describe them, in YAML or JSON.
#ifndef FSD_CLI_MANIFEST_H_
#define FSD_CLI_MANIFEST_H_

#include <string>
#include <vector>

#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

// Appends the exports of `text` to `exports`: of each of its documents, which are an export, a list
// of exports, or a mapping whose "exports" is one, as 'fsctl export list -o yaml' prints. Fields
// have the API's JSON names or the proto's; those that only the server sets are dropped. Names are
// "exports/…" afterwards, and no two are the same. Returns what is wrong and where, to stand after
// the file's name: ":12: …"; empty if nothing is.
std::string ReadManifest(const std::string& text, std::vector<v1::Export>& exports);

}  // namespace fsd::cli

#endif  // FSD_CLI_MANIFEST_H_
