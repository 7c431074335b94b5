//! As many requests as there is time for: each connection sends the next one when it has the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rehearsal::Answer;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One connection that stays open.
pub struct Connection {
    to: SocketAddr,
    host: Arc<str>,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

impl Connection {
    /// A connection to `to`, opened with the first request. Load goes to loopback only.
    pub fn new(to: SocketAddr, host: &str) -> Self {
        assert!(to.ip().is_loopback(), "load goes to loopback only");
        Self { to, host: host.into(), sender: None }
    }

    /// Sends a request and reads the whole answer.
    pub async fn ask(&mut self) -> Answer {
        let answer = self.exchange().await.ok();
        if answer.is_none() {
            self.sender = None;
        }
        let (status, fleet) = answer.unzip();
        Answer { at: Timestamp::now(), status, fleet: fleet.flatten() }
    }

    async fn exchange(&mut self) -> Result<(u16, Option<String>)> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(self.to).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut().context("just connected")?;
        sender.ready().await?;
        let request = Request::get("/").header(HOST, &*self.host).body(Empty::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let fleet = response.headers().get("x-fleet").and_then(|v| v.to_str().ok()).map(str::to_owned);
        response.into_body().collect().await?;
        Ok((status, fleet))
    }
}

/// Requests a second over so many connections for so long.
pub async fn throughput(to: SocketAddr, host: &str, connections: usize, how_long: Duration) -> Result<f64> {
    let began = Instant::now();
    let mut users = JoinSet::new();
    for _ in 0..connections {
        let mut connection = Connection::new(to, host);
        users.spawn(async move {
            let mut answered = 0_u64;
            while began.elapsed() < how_long {
                answered += u64::from(!connection.ask().await.failed());
            }
            answered
        });
    }
    let mut answered = 0;
    while let Some(count) = users.join_next().await {
        answered += count?;
    }
    Ok(answered as f64 / began.elapsed().as_secs_f64())
}
