//! What all parts of a balancer share.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::group::{Group, Health, Target};
use crate::health;
use crate::intercept::{Interceptor, Observer};
use crate::journal::{AccessLogEntry, Call, Log};
use crate::lock;
use crate::memory::Measured;
use crate::metrics::Store;
use crate::net::{self, Reservation};
use crate::pool::Pool;
use crate::throttle::{Counted, Throttle};
use crate::trouble::Troubles;
use crate::world::World;

/// An alarm.
#[derive(Clone, Copy)]
pub(crate) struct Alarm {
    pub(crate) state: crate::AlarmState,
    /// Whether it is made of other alarms instead of a metric.
    pub(crate) composite: bool,
}

/// The shared state; tasks hold it, [`crate::Alb`] stops them.
pub(crate) struct Core {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) check_interval: Option<Duration>,
    pub(crate) world: Mutex<World>,
    pub(crate) rng: Mutex<SmallRng>,
    pub(crate) metrics: Mutex<Store>,
    pub(crate) calls: Log<Arc<Call>>,
    pub(crate) access: Log<AccessLogEntry>,
    pub(crate) alarms: Mutex<BTreeMap<String, Alarm>>,
    /// What CloudWatch says about answers with metrics as a whole: a code and a text.
    pub(crate) message: Mutex<Option<(String, String)>>,
    pub(crate) throttle: Mutex<Throttle>,
    pub(crate) counted: Counted,
    pub(crate) time_compression: f64,
    pub(crate) interceptor: RwLock<Option<Interceptor>>,
    pub(crate) observer: RwLock<Option<Observer>>,
    pub(crate) troubles: Mutex<Troubles>,
    /// Where calls of other services go.
    pub(crate) others: Mutex<Option<SocketAddr>>,
    pub(crate) stop: CancellationToken,
    /// Who knows what is measured, where nothing listens.
    pub(crate) measured: Option<Box<dyn Measured>>,
    reserved: Mutex<HashMap<u16, Reservation>>,
}

impl Core {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            region: options.region,
            account: options.account,
            check_interval: options.health_check_interval,
            world: Mutex::default(),
            rng: Mutex::new(SmallRng::seed_from_u64(options.seed)),
            metrics: Mutex::default(),
            calls: Log::default(),
            access: Log::default(),
            alarms: Mutex::default(),
            message: Mutex::default(),
            throttle: Mutex::new(Throttle::new(options.time_compression)),
            counted: options.counted,
            time_compression: options.time_compression,
            interceptor: RwLock::default(),
            observer: RwLock::default(),
            troubles: Mutex::default(),
            others: Mutex::default(),
            stop: CancellationToken::new(),
            measured: None,
            reserved: Mutex::default(),
        }
    }

    /// Sixteen hexadecimal digits, as AWS ends its ARNs.
    pub(crate) fn id(&self) -> String {
        format!("{:016x}", lock::lock(&self.rng).random::<u64>())
    }

    /// For how long a read may show what stood before a change of this resource; not at all, as chance has it.
    pub(crate) fn late(&self, world: &World, arn: &str) -> Duration {
        let label = world.label_of(arn).unwrap_or_default();
        let late = lock::lock(&self.troubles).of(&label).late_reads;
        let draws = !late.is_zero() && lock::lock(&self.rng).random();
        if draws { late } else { Duration::ZERO }
    }

    /// A request's id.
    pub(crate) fn request_id(&self) -> String {
        let id = lock::lock(&self.rng).random::<u128>();
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            id >> 80 & 0xffff,
            id >> 64 & 0xffff,
            id >> 48 & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }

    /// `arn:aws:elasticloadbalancing:REGION:ACCOUNT:` and the rest.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{}:{resource}", self.region, self.account)
    }

    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        lock::lock(&self.world).groups.clone()
    }

    /// Registers an address with a group and begins to check it.
    pub(crate) fn register(&self, group: &Arc<Group>, address: SocketAddr) {
        let target = Arc::new(Target {
            address,
            pool: Pool::new(address, self.stop.clone()),
            health: Mutex::new(Health::Initial),
            stop: self.stop.child_token(),
        });
        if group.add(&target) && self.measured.is_none() {
            tokio::spawn(health::watch(Arc::clone(group), target));
        }
    }

    /// Keeps a port free for a listener.
    pub(crate) fn reserve(&self) -> io::Result<u16> {
        let reservation = Reservation::new()?;
        let port = reservation.address().port();
        lock::lock(&self.reserved).insert(port, reservation);
        Ok(port)
    }

    /// Listens on a port, if at all; one that this balancer reserved, or one that is free.
    pub(crate) fn listen(&self, port: u16) -> io::Result<Option<TcpListener>> {
        if self.measured.is_some() {
            return Ok(None);
        }
        let listener = match lock::lock(&self.reserved).get(&port) {
            Some(reservation) => reservation.listen(),
            None => net::listen(port),
        };
        listener.map(Some)
    }
}
