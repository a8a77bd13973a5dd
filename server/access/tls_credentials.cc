#include "server/access/tls_credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "server/errors/status_macros.h"

namespace fsd::access {
namespace {

constexpr unsigned kRefreshSeconds = 5;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return ErrnoStatus(Errno::Last(), absl::StrCat("cannot read ", path));
  return text;
}

template <typename T, void (*kFree)(T*)>
struct Free {
  void operator()(T* object) const { kFree(object); }
};
using Certificate = std::unique_ptr<X509, Free<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY, EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO, BIO_free_all>>;

Bio BioOf(const std::string& text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// The first certificate of a PEM file.
absl::StatusOr<Certificate> ReadCertificate(const std::string& path) {
  FSD_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  Certificate certificate(::PEM_read_bio_X509(BioOf(text).get(), nullptr, nullptr, nullptr));
  if (certificate != nullptr) return certificate;
  return absl::InvalidArgumentError(absl::StrCat(path, " holds no certificate in PEM"));
}

// One with a password cannot be read: nobody is there to be asked for it.
absl::StatusOr<Key> ReadKey(const std::string& path) {
  FSD_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const auto no_password = [](char*, int, int, void*) { return 0; };
  Key key(::PEM_read_bio_PrivateKey(BioOf(text).get(), nullptr, no_password, nullptr));
  if (key != nullptr) return key;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " holds no key in PEM, or one with a password; take that off"));
}

// gRPC would serve what is wrong, and nobody would get through.
absl::Status CheckFiles(const supervisor::Listener& listener) {
  FSD_ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificate(listener.certificate));
  FSD_ASSIGN_OR_RETURN(const Key key, ReadKey(listener.key));
  FSD_RETURN_IF_ERROR(ReadCertificate(listener.client_ca));
  if (::X509_check_private_key(certificate.get(), key.get()) == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(listener.certificate, " and ", listener.key, " do not belong together"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MutualTls(
    const supervisor::Listener& listener) {
  const absl::Status usable = CheckFiles(listener);
  ::ERR_clear_error();
  FSD_RETURN_IF_ERROR(usable);
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          listener.key, listener.certificate, listener.client_ca, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  options.watch_root_certs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace fsd::access
