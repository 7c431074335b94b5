//! Users: requests that come when they come, each on its own, whatever became of the one before.

use std::ops::Add;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use reqwest::Url;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use scenario::Load;

/// No user waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests a second: more is more than a small machine can answer, less is nobody.
const MOST: f64 = 1000.0;
const LEAST: f64 = 0.01;

/// Connections of one route that wait for the next request, and for how long: a scenario has many users,
/// and a machine has only so many sockets.
const IDLE_CONNECTIONS: usize = 32;
const IDLE_FOR: Duration = Duration::from_secs(5);

/// What is made up for of requests that are late.
const AWAY: Duration = Duration::from_millis(500);

/// A session, for routes that ask users to sign in.
const SIGNED_IN: &str = "AWSELBAuthSessionCookie-0=1";

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

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            failed: self.failed + other.failed,
            by_fleet: [0, 1].map(|fleet| self.by_fleet[fleet] + other.by_fleet[fleet]),
        }
    }
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
    percent: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// Sends requests to `url` with this `Host`. Only addresses on loopback are ever given here, and
    /// the traffic ends after `limit` at the latest.
    pub fn start(url: &str, host: String, load: Load, limit: Duration) -> Self {
        assert!(url.starts_with("http://127.0.0.1:"), "load goes to loopback only");
        let answers = Arc::new(Mutex::new(Vec::new()));
        let percent = Arc::new(AtomicU32::new(100));
        let url = url.parse().expect("an address on loopback");
        let users = Users { url, host, load, answers: Arc::clone(&answers), percent: Arc::clone(&percent) };
        let task = tokio::spawn(async move {
            let _ = timeout(limit, users.come()).await;
        });
        Self { answers, percent, task }
    }

    /// From now on so many percent of the users come.
    pub fn set_percent(&self, percent: u32) {
        self.percent.store(percent, Ordering::Relaxed);
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

/// Those who send the requests.
struct Users {
    url: Url,
    host: String,
    load: Load,
    answers: Arc<Mutex<Vec<Answer>>>,
    percent: Arc<AtomicU32>,
}

impl Users {
    async fn come(self) {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_FOR)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS has nothing to fail on");
        let mut rng = SmallRng::seed_from_u64(1);
        let cookies = Arc::new(Mutex::new(String::new()));
        let began = Instant::now();
        let mut due = began;
        loop {
            let percent = f64::from(self.percent.load(Ordering::Relaxed)) / 100.0;
            let rate = (percent * self.load.rate_after(began.elapsed())).min(MOST);
            if rate < LEAST {
                sleep(Duration::from_millis(100)).await;
                due = Instant::now();
                continue;
            }
            sleep_until(due).await;
            // Where the machine was away for a while, nobody comes later for that: all at once would be
            // a crowd that no scenario asks for.
            due = due.max(Instant::now() - AWAY);
            due += Duration::from_secs_f64(1.0 / rate);
            let request = self.request(&client, rng.random::<f64>() * 100.0);
            let sticky = rng.random::<f64>() * 100.0 < self.load.sticky_percent;
            let jar = sticky.then(|| Arc::clone(&cookies));
            let answers = Arc::clone(&self.answers);
            tokio::spawn(async move {
                let answer = ask(request, jar).await;
                answers.lock().expect("nobody panics with it").push(answer);
            });
        }
    }

    /// A request; `draw`, from 0 to 100, decides of which kind.
    fn request(&self, client: &reqwest::Client, draw: f64) -> reqwest::RequestBuilder {
        let slow = self.load.slow_clients.map_or(0.0, |some| some.percent);
        let long = self.load.long_requests.map_or(0.0, |some| some.percent);
        let plain = client.get(self.url.clone()).header("host", &self.host);
        match (self.load.slow_clients, self.load.long_requests) {
            (Some(some), _) if draw < slow => {
                let late = futures_util::stream::once(async move {
                    sleep(some.seconds.duration()).await;
                    Ok::<_, std::io::Error>("late")
                });
                let body = reqwest::Body::wrap_stream(late);
                let request = client.post(self.url.clone()).header("host", &self.host);
                request.header("content-length", "late".len()).body(body)
            }
            (_, Some(some)) if draw < slow + long => {
                let takes = some.seconds.duration().as_millis().to_string();
                plain.header(alb::TAKES_MILLISECONDS, takes)
            }
            _ => plain,
        }
    }
}

/// Sends a request, with the cookies of a client that keeps them.
async fn ask(request: reqwest::RequestBuilder, jar: Option<Arc<Mutex<String>>>) -> Answer {
    let kept = jar.as_ref().map(|jar| jar.lock().expect("nobody panics with it").clone());
    let cookies = format!("{SIGNED_IN}; {}", kept.unwrap_or_default());
    let response = request.header("cookie", cookies).send().await;
    let (status, fleet) = match response {
        Err(_) => (None, None),
        Ok(response) => {
            let status = response.status().as_u16();
            let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let (fleet, cookie) = (text("x-fleet"), text("set-cookie"));
            if let (Some(jar), Some(cookie)) = (jar, cookie) {
                let pair = cookie.split(';').next().unwrap_or_default();
                pair.clone_into(&mut jar.lock().expect("nobody panics with it"));
            }
            // An answer counts once its body is here.
            (response.bytes().await.is_ok().then_some(status), fleet)
        }
    };
    Answer { at: Timestamp::now(), status, fleet }
}
