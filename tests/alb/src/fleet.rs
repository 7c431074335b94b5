//! Fleets of targets that can be made to misbehave.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use clock::Instant;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::lock;
use crate::net::{self, Answer, Reservation, Reset, whole};

/// How the targets of a fleet behave. Shares are between 0 and 1, drawn for each request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Behaviour {
    /// Answers with 200 after a few milliseconds.
    Healthy,
    /// Answers some requests with 500. Health checks pass.
    Errors {
        /// The share of requests.
        share: f64,
    },
    /// Answers some requests late. Health checks pass.
    Slow {
        /// The share of requests.
        share: f64,
        /// How much later.
        delay: Duration,
    },
    /// Refuses connections, and has closed those it had.
    Dead,
    /// Reads some requests and resets the connection. Health checks pass.
    Reset {
        /// The share of requests.
        share: f64,
    },
    /// Answers some requests with 404. Health checks pass.
    ClientErrors {
        /// The share of requests.
        share: f64,
    },
    /// Answers requests like a healthy one, and health checks with 503.
    FailsChecks,
    /// Carries so many requests a second on each target, and answers what is beyond with 503. Health checks
    /// pass.
    Capacity {
        /// How many; those of one second may come at once.
        per_second: f64,
    },
}

/// A request with this header is answered so many milliseconds later, whatever the behaviour.
pub const TAKES_MILLISECONDS: &str = "x-takes-milliseconds";

/// What a fleet has served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests other than health checks, by target, however they ended.
    pub requests: Vec<u64>,
    /// Health checks answered by all targets together.
    pub health_checks: u64,
}

impl Counts {
    /// Requests to all targets.
    pub fn total(&self) -> u64 {
        self.requests.iter().sum()
    }
}

/// A number of HTTP servers on 127.0.0.1 that act as one. They stop when this is dropped.
pub struct Fleet {
    shared: Arc<Shared>,
    targets: Vec<SocketAddr>,
    _stop: DropGuard,
}

struct Shared {
    name: HeaderValue,
    release: RwLock<HeaderValue>,
    /// By target.
    behaviours: Vec<watch::Sender<Behaviour>>,
    rng: Mutex<SmallRng>,
    /// By target: what it can still carry, and when that was known.
    spare: Vec<Mutex<(f64, Instant)>>,
    requests: Vec<AtomicU64>,
    health_checks: AtomicU64,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("targets", &self.targets).finish_non_exhaustive()
    }
}

impl Fleet {
    /// Starts a fleet whose chance follows from its name.
    ///
    /// # Errors
    /// If no port can be bound, or if the name cannot stand in a header.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(name: &str, targets: usize) -> io::Result<Self> {
        let seed = name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        Self::start_seeded(name, targets, seed)
    }

    /// Starts a fleet with a seed of its own for answering times and shares.
    ///
    /// # Errors
    /// If no port can be bound, or if the name cannot stand in a header.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_seeded(name: &str, targets: usize, seed: u64) -> io::Result<Self> {
        let reservations = (0..targets).map(|_| Reservation::new()).collect::<io::Result<Vec<_>>>()?;
        let shared = Arc::new(Shared {
            name: header(name)?,
            release: RwLock::new(HeaderValue::from_static("none")),
            behaviours: reservations.iter().map(|_| watch::Sender::new(Behaviour::Healthy)).collect(),
            rng: Mutex::new(SmallRng::seed_from_u64(seed)),
            spare: reservations.iter().map(|_| Mutex::new((0.0, Instant::now()))).collect(),
            requests: reservations.iter().map(|_| AtomicU64::new(0)).collect(),
            health_checks: AtomicU64::new(0),
        });
        let stop = CancellationToken::new();
        let targets = reservations.iter().map(Reservation::address).collect();
        for (index, reservation) in reservations.into_iter().enumerate() {
            let listener = reservation.listen()?;
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            tokio::spawn(async move {
                let life = live(shared, index, reservation, listener);
                stop.run_until_cancelled(life).await;
            });
        }
        Ok(Self { shared, targets, _stop: stop.drop_guard() })
    }

    /// The addresses of the targets, which stay the same for as long as the fleet exists.
    pub fn targets(&self) -> &[SocketAddr] {
        &self.targets
    }

    /// Changes the behaviour of all targets, for requests that arrive from now on.
    pub fn set(&self, behaviour: Behaviour) {
        for target in &self.shared.behaviours {
            target.send_replace(behaviour);
        }
    }

    /// Changes the behaviour of one target, the first being 0.
    ///
    /// # Panics
    /// If there is no such target.
    pub fn set_target(&self, target: usize, behaviour: Behaviour) {
        self.shared.behaviours[target].send_replace(behaviour);
    }

    /// The release that answers name from now on.
    ///
    /// # Panics
    /// If the release cannot stand in a header.
    pub fn deploy(&self, release: &str) {
        *lock::write(&self.shared.release) =
            HeaderValue::from_str(release).expect("a release of plain characters");
    }

    /// What has been served so far.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.shared.requests.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            health_checks: self.shared.health_checks.load(Ordering::Relaxed),
        }
    }
}

fn header(text: &str) -> io::Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// One target: it listens while its fleet is not dead.
async fn live(shared: Arc<Shared>, index: usize, port: Reservation, listener: tokio::net::TcpListener) {
    let mut behaviour = shared.behaviours[index].subscribe();
    let mut listener = Some(listener);
    loop {
        if let Some(listener) = listener.take() {
            // Dropping the guard ends the connections as well.
            let running = CancellationToken::new();
            let _guard = running.clone().drop_guard();
            let accepting = net::accept(listener, running.clone(), {
                let shared = Arc::clone(&shared);
                move |stream, _| {
                    let shared = Arc::clone(&shared);
                    net::serve(stream, running.clone(), move |request| {
                        answer(Arc::clone(&shared), index, request)
                    })
                }
            });
            tokio::select! {
                () = accepting => return,
                died = behaviour.wait_for(|now| *now == Behaviour::Dead) => if died.is_err() { return },
            }
        }
        if behaviour.wait_for(|now| *now != Behaviour::Dead).await.is_err() {
            return;
        }
        match port.listen() {
            Ok(back) => listener = Some(back),
            Err(error) => {
                tracing::error!(%error, "a target could not come back");
                return;
            }
        }
    }
}

async fn answer(shared: Arc<Shared>, index: usize, request: Request<Incoming>) -> Answer {
    if request.uri().path() == "/health" {
        shared.health_checks.fetch_add(1, Ordering::Relaxed);
        let fails = *shared.behaviours[index].borrow() == Behaviour::FailsChecks;
        let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        return Ok(shared.response(index, status));
    }
    shared.requests[index].fetch_add(1, Ordering::Relaxed);
    let behaviour = *shared.behaviours[index].borrow();
    let (usual, draw) = {
        let mut rng = lock::lock(&shared.rng);
        (usual_delay(&mut *rng), rng.random::<f64>())
    };
    let carried = match behaviour {
        Behaviour::Capacity { per_second } => {
            carries(&mut lock::lock(&shared.spare[index]), per_second, Instant::now())
        }
        _ => true,
    };
    let takes = request.headers().get(TAKES_MILLISECONDS).and_then(|value| value.to_str().ok()?.parse().ok());
    let usual = usual + Duration::from_millis(takes.unwrap_or(0));
    // A target reads a request before it answers; the connection could not be used again otherwise.
    let mut body = request.into_body();
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        if frame.is_err() {
            return Err(Reset);
        }
    }
    tokio::time::sleep(usual).await;
    let status = match behaviour {
        Behaviour::Errors { share } if draw < share => StatusCode::INTERNAL_SERVER_ERROR,
        Behaviour::ClientErrors { share } if draw < share => StatusCode::NOT_FOUND,
        Behaviour::Reset { share } if draw < share => return Err(Reset),
        Behaviour::Slow { share, delay } if draw < share => {
            tokio::time::sleep(delay).await;
            StatusCode::OK
        }
        Behaviour::Capacity { .. } if !carried => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    Ok(shared.response(index, status))
}

/// Whether one more request is carried: what a target can carry of one second fills up evenly.
fn carries((spare, known): &mut (f64, Instant), per_second: f64, now: Instant) -> bool {
    let since = now.saturating_duration_since(*known).as_secs_f64();
    (*spare, *known) = ((*spare + since * per_second).min(per_second), now);
    let carried = *spare >= 1.0;
    *spare -= f64::from(u8::from(carried));
    carried
}

/// Around two milliseconds, seldom above five: the logarithm is roughly normal.
fn usual_delay(rng: &mut impl Rng) -> Duration {
    let normal = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    Duration::from_secs_f64(0.002 * (0.4 * normal).exp())
}

impl Shared {
    fn response(&self, index: usize, status: StatusCode) -> Response<net::Body> {
        let release = lock::read(&self.release).clone();
        let body = format!(
            "{{\"fleet\":{:?},\"release\":{:?},\"target\":{index}}}",
            self.name.to_str().unwrap_or_default(),
            release.to_str().unwrap_or_default(),
        );
        let mut response = Response::new(whole(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-fleet", self.name.clone());
        headers.insert("x-release", release);
        headers.insert("x-target", HeaderValue::from(index));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In made-up seconds, so that no machine is too slow for it.
    #[test]
    fn a_target_carries_what_it_can_and_no_more() {
        let began = Instant::now();
        let mut spare = (0.0, began);
        let mut carried = |from: u32, until: u32, rate: u32| {
            let times = (from * rate..until * rate)
                .map(|i| began + Duration::from_secs_f64(f64::from(i) / f64::from(rate)));
            times.filter(|at| carries(&mut spare, 40.0, *at)).count()
        };
        assert_eq!(carried(0, 1, 20), 19, "the very first one comes before there is anything to spare");
        assert_eq!(carried(1, 21, 30), 600);
        let beyond = carried(21, 31, 120);
        assert!((400..=440).contains(&beyond), "{beyond} of 1200");
    }
}
