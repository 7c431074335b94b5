//! Users: requests at a steady rate, each on its own, whatever became of the one before.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// No user waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When it was answered.
    pub at: Timestamp,
    /// The HTTP status; `None` where there was no answer at all.
    pub status: Option<u16>,
    /// The fleet that answered, unless it was the balancer itself.
    pub fleet: Option<String>,
}

impl Answer {
    /// Whether a user would call it failed.
    pub fn failed(&self) -> bool {
        self.status.is_none_or(|status| status >= 500)
    }
}

/// Counts over some answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All requests.
    pub requests: u64,
    /// Failed ones.
    pub failed: u64,
    /// Answered by each fleet, in the order of the names given.
    pub by_fleet: [u64; 2],
}

impl Tally {
    /// The second fleet's share of what the fleets answered, in percent.
    pub fn percent_of_second(&self) -> f64 {
        100.0 * self.by_fleet[1] as f64 / (self.by_fleet[0] + self.by_fleet[1]).max(1) as f64
    }
}

/// Traffic that flows until it is stopped or dropped.
#[derive(Debug)]
pub struct Traffic {
    answers: Arc<Mutex<Vec<Answer>>>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// Sends `rate` requests a second to `url` with this `Host`. Only addresses on loopback are
    /// ever given here, and the traffic ends after `limit` at the latest.
    pub fn start(url: String, host: String, rate: u32, limit: Duration) -> Self {
        assert!(url.starts_with("http://127.0.0.1:"), "load goes to loopback only");
        let answers = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&answers);
        let task = tokio::spawn(async move {
            let client = reqwest::Client::builder()
                .timeout(PATIENCE)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client without TLS has nothing to fail on");
            let mut ticks = interval(Duration::from_secs(1) / rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let _ = timeout(limit, async {
                loop {
                    ticks.tick().await;
                    let request = client
                        .get(&url)
                        .header("host", &host)
                        .header("cookie", "AWSELBAuthSessionCookie-0=1");
                    let answers = Arc::clone(&shared);
                    tokio::spawn(async move {
                        let answer = ask(request).await;
                        answers.lock().expect("nobody panics with it").push(answer);
                    });
                }
            })
            .await;
        });
        Self { answers, task }
    }

    /// Everything answered so far.
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.lock().expect("nobody panics with it").clone()
    }

    /// Counts over what was answered at or after `since`.
    pub fn tally_since(&self, since: Timestamp, fleets: [&str; 2]) -> Tally {
        let mut tally = Tally::default();
        for answer in self.answers.lock().expect("nobody panics with it").iter().filter(|a| a.at >= since) {
            tally.requests += 1;
            tally.failed += u64::from(answer.failed());
            for (count, fleet) in tally.by_fleet.iter_mut().zip(fleets) {
                *count += u64::from(answer.fleet.as_deref() == Some(fleet));
            }
        }
        tally
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await;
    let (status, fleet) = match response {
        Err(_) => (None, None),
        Ok(response) => {
            let status = response.status().as_u16();
            let fleet = response.headers().get("x-fleet").and_then(|v| v.to_str().ok()).map(str::to_owned);
            // An answer counts once its body is here.
            (response.bytes().await.is_ok().then_some(status), fleet)
        }
    };
    Answer { at: Timestamp::now(), status, fleet }
}
