use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::{BehaviorVersion, Config, Credentials, Region};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// SHA-256 of the certificates, as their authority publishes it: Amazon Root CA 1 to 4, Starfield
/// Services Root Certificate Authority - G2.
const PUBLISHED: [&str; 5] = [
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
];

#[test]
fn the_authorities_are_those_that_are_published() {
    let certificates = CertificateDer::pem_slice_iter(AUTHORITIES);
    let fingerprints: Vec<String> =
        certificates.map(|certificate| format!("{:?}", digest(&SHA256, &certificate.unwrap()))).collect();
    assert_eq!(fingerprints, PUBLISHED.map(|hex| format!("SHA256:{hex}")));
}

#[tokio::test]
async fn nobody_is_called_whom_another_authority_has_signed_for() {
    assert!(!is_called(|_| trusted("eu-central-1")).await);
    // It is the certificate that it was refused for, nothing else.
    assert!(is_called(|own| TrustStore::empty().with_pem_certificate(own)).await);
}

#[test]
fn the_system_decides_only_where_the_authorities_are_not_known() {
    let by_the_system = |region| format!("{:?}", trusted(region)).contains("enable_native_roots: true");
    let [known, unknown] = [
        ["eu-central-1", "eu-south-1", "us-east-1", "us-gov-west-1", "il-central-1", ""],
        [
            "cn-north-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "us-isof-south-1",
            "eu-isoe-west-1",
            "eusc-de-east-1",
        ],
    ];
    assert!(known.into_iter().all(|region| !by_the_system(region)));
    assert!(unknown.into_iter().all(by_the_system));
}

/// Whether a client that trusts these goes on with a server that has a certificate of its own,
/// which it is given to decide.
async fn is_called(trusted: impl FnOnce(String) -> TrustStore) -> bool {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::for_tests())
        .http_client(sender(trusted(cert.pem())))
        .endpoint_url(format!("https://localhost:{port}"))
        .build();
    tokio::spawn(Client::from_conf(client).list_state_machines().send());
    let (stream, _) = listener.accept().await.unwrap();
    TlsAcceptor::from(Arc::new(server)).accept(stream).await.is_ok()
}
