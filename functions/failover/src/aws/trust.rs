//! Whom a call of AWS trusts: the authorities that sign for AWS, not all of those that the system
//! trusts. A certificate that somebody else has signed is refused, and a function that starts has
//! five certificates to read instead of some hundred and fifty.

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// All the roots of Amazon Trust Services, as it asks of whoever keeps a store of his own
/// (<https://www.amazontrust.com/repository/>). They hold until the end of 2037 at least.
const AUTHORITIES: &[u8] = include_bytes!("authorities.pem");

/// How regions begin for whose endpoints nobody promises these roots: China, those apart from the
/// internet, and the European Sovereign Cloud, which has roots of its own.
const ELSEWHERE: [&str; 4] = ["cn-", "us-iso", "eu-iso", "eusc-"];

/// What sends the calls of all clients of a process, in this region.
pub fn http_client(region: &str) -> SharedHttpClient {
    sender(trusted(region))
}

fn trusted(region: &str) -> TrustStore {
    if ELSEWHERE.iter().any(|begins| region.starts_with(begins)) {
        return TrustStore::default();
    }
    TrustStore::empty().with_pem_certificate(AUTHORITIES)
}

fn sender(trusted: TrustStore) -> SharedHttpClient {
    let context = TlsContext::builder().with_trust_store(trusted).build().expect("a store is all it needs");
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context).build_https()
}

#[cfg(test)]
mod tests;
