//! Against servers on this machine.

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

fn probe(probe: Value) -> Probe {
    serde_json::from_value(probe).unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

async fn reply(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: impl Fn(&str) -> String) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        asked.push(byte);
    }
    let _ = stream.write_all(answers(&String::from_utf8_lossy(&asked)).as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Answers every request by what was asked, until the test is over.
async fn server(answers: impl Fn(&str) -> String + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move { reply(stream, |asked| answers(asked)).await });
        }
    });
    port
}

/// A server with a certificate of its own for `localhost`, which a store is returned for.
async fn tls_server() -> (u16, RootCertStore) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(reply(stream, |_| answer("200 OK", "", "in secret")));
            }
        }
    });
    let mut trusted = RootCertStore::empty();
    trusted.add(cert.der().clone()).unwrap();
    (port, trusted)
}

async fn sent(to: u16, what: Value) -> Result<(), String> {
    let client = Client::trusting(RootCertStore::empty());
    client.probe(&probe(what), &format!("http://127.0.0.1:{to}"), true, None).await
}

#[tokio::test]
async fn what_is_asked_arrives_and_what_is_answered_is_checked() {
    let port = server(|asked| {
        let good =
            asked.starts_with("POST /deep?a=1 HTTP/1.1\r\n") && asked.contains("host: shop.example\r\n");
        let body = r#"{"status": "up", "parts": [{"name": "db"}]}"#;
        answer(if good { "201 Created" } else { "400 Bad Request" }, "", body)
    })
    .await;
    let asked = json!({ "path": "/deep?a=1", "method": "POST", "status": 201, "headers": { "host": "shop.example" } });
    let with = |more: Value| {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let good = json!({ "text": "up", "json": { "/status": "up", "/parts/0/name": "db" } });
    assert_eq!(sent(port, with(good)).await, Ok(()));
    for (wrong, says) in [
        (json!({ "status": 200 }), "status 201 instead of 200"),
        (json!({ "headers": {} }), "status 400 instead of 201"),
        (json!({ "text": "down" }), "\"down\" is not in the answer, which begins with"),
        (json!({ "json": { "/status": "down" } }), "/status is \"up\" instead of \"down\""),
        (json!({ "json": { "/other": 1 } }), "there is no /other in"),
    ] {
        let said = sent(port, with(wrong)).await.unwrap_err();
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_asked() {
    let port = server(|asked| match asked.split(' ').nth(1).unwrap_or_default() {
        "/there" => answer("200 OK", "", "arrived"),
        "/away" => answer("302 Found", "location: http://169.254.169.254/latest/meta-data\r\n", ""),
        _ => answer("302 Found", "location: /there\r\n", ""),
    })
    .await;
    let asked = |path: &str, redirects| json!({ "path": path, "redirects": redirects });
    assert_eq!(sent(port, asked("/here", 1)).await, Ok(()));
    assert_eq!(sent(port, asked("/here", 0)).await.unwrap_err(), "status 302 to \"/there\" instead of 200");
    let away = sent(port, asked("/away", 1)).await.unwrap_err();
    assert!(away.contains("169.254.169.254") && away.contains("link-local"), "{away}");
}

/// It opens the way to the standby, stays with one server, and is not shown whatever the application does
/// with it.
#[tokio::test]
async fn the_secret_of_testers_is_sent_and_not_shown() {
    let elsewhere = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&elsewhere);
    let other = server(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        answer("200 OK", "", "")
    })
    .await;
    let port = server(move |asked| match asked.split(' ').nth(1).unwrap_or_default() {
        "/here" => answer("302 Found", "location: /echo\r\n", ""),
        "/away" => answer("302 Found", &format!("location: http://127.0.0.1:{other}/\r\n"), ""),
        "/showing" => answer("302 Found", "location: http://127.0.0.1:1/?s3cret-of-testers\r\n", ""),
        _ => answer("200 OK", "", &format!("{} {asked}", "-".repeat(30))),
    })
    .await;
    let (client, secret) = (Client::trusting(RootCertStore::empty()), Secret::new("s3cret-of-testers"));
    let address = format!("http://127.0.0.1:{port}");
    let sent = async |what: Value| client.probe(&probe(what), &address, true, Some(&secret)).await;
    let echo = json!({ "path": "/here", "redirects": 1, "text": "x-failover-standby: (the secret of test traffic)" });
    assert_eq!(sent(echo).await, Ok(()));
    for (wrong, says) in [
        (json!({ "path": "/echo", "text": "nothing" }), "which begins with"),
        (json!({ "path": "/away", "redirects": 1 }), "where testers are not known"),
        (json!({ "path": "/showing", "redirects": 1 }), "where testers are not known"),
        (json!({ "path": "/showing" }), "status 302 to"),
    ] {
        let said = sent(wrong).await.unwrap_err();
        assert!(said.contains(says) && !said.contains("s3cret"), "{said}");
    }
    assert_eq!(elsewhere.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn nothing_is_sent_to_a_name_that_leads_here() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let port = server(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        answer("200 OK", "", "")
    })
    .await;
    let client = Client::trusting(RootCertStore::empty());
    let address = format!("http://localhost:{port}");
    let health = probe(json!({ "path": "/" }));
    let refused = client.probe(&health, &address, false, None).await.unwrap_err();
    assert!(refused.contains("localhost is at") && refused.contains("loopback"), "{refused}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(client.probe(&health, &address, true, None).await, Ok(()));
}

#[tokio::test]
async fn a_large_answer_is_read_in_part() {
    let port = server(|_| answer("200 OK", "", &format!("first{}last", "-".repeat(READ_BYTES)))).await;
    assert_eq!(sent(port, json!({ "path": "/", "text": "first" })).await, Ok(()));
    let said = sent(port, json!({ "path": "/", "text": "last" })).await.unwrap_err();
    assert!(said.contains("the first 64 KiB"), "{said}");
    let said = sent(port, json!({ "path": "/", "json": { "": 1 } })).await.unwrap_err();
    assert!(said.contains("more than 64 KiB"), "{said}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().port();
    let said = sent(silent, json!({ "path": "/", "timeout": "1s" })).await.unwrap_err();
    assert_eq!(said, "no whole answer within 1s");
    drop(listener);
    let said = sent(silent, json!({ "path": "/" })).await.unwrap_err();
    assert!(said.starts_with("no connection to 127.0.0.1"), "{said}");
    let broken = server(|_| "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into()).await;
    let said = sent(broken, json!({ "path": "/" })).await.unwrap_err();
    assert!(said.starts_with("the answer broke off"), "{said}");
}

#[tokio::test]
async fn certificates_must_be_right() {
    let (port, trusted) = tls_server().await;
    let (asked, knows) = (probe(json!({ "path": "/", "text": "secret" })), Client::trusting(trusted));
    assert_eq!(knows.probe(&asked, &format!("https://localhost:{port}"), true, None).await, Ok(()));
    let other = knows.probe(&asked, &format!("https://127.0.0.1:{port}"), true, None).await.unwrap_err();
    assert!(other.contains("is for another name"), "{other}");
    let stranger = Client::trusting(authorities());
    let unknown = stranger.probe(&asked, &format!("https://localhost:{port}"), true, None).await.unwrap_err();
    assert!(unknown.contains("certificate of localhost is wrong: it is signed by nobody"), "{unknown}");
    let plain = server(|_| answer("200 OK", "", "")).await;
    let no_tls = stranger.probe(&asked, &format!("https://localhost:{plain}"), true, None).await.unwrap_err();
    assert!(no_tls.contains("no TLS with localhost") || no_tls.contains("no whole answer"), "{no_tls}");
}
