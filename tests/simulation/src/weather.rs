//! What goes wrong and when: outages of an hour, and faults by chance in between.

use domain::channel::Channel;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use testkit::world::{Call, Fault, Faults, Service};

/// Every service that can be out.
pub const SERVICES: [Service; 6] = [
    Service::Tables,
    Service::Scheduler,
    Service::Queues,
    Service::Provider(Channel::Email),
    Service::Provider(Channel::Sms),
    Service::Provider(Channel::Push),
];

/// A time in which a service answers nothing.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Which service.
    pub service: Service,
    /// From when on (UTC).
    pub from: Timestamp,
    /// Until when (UTC).
    pub until: Timestamp,
}

/// How bad a run is. Chances are out of 10,000.
#[derive(Debug, Clone)]
pub struct Climate {
    /// That a call has a fault.
    pub faults: u32,
    /// That a provider refuses a message for good.
    pub refusals: u32,
    /// That a timer is lost.
    pub lost: u32,
    /// That a call takes 3 to 40 seconds.
    pub slow: u32,
    /// That a queue message, a timer or a batch of stream records comes twice.
    pub twice: u32,
    /// How far a sandbox's clock is off at the most, in milliseconds.
    pub skew: i64,
    /// The outages, by their beginning.
    pub outages: Vec<Outage>,
}

impl Climate {
    /// A climate drawn by chance, with outages around some of these moments (UTC).
    pub fn drawn(rng: &mut Rng, moments: &[Timestamp]) -> Self {
        let level = rng.usize(..4);
        let mut outages = Vec::new();
        if !moments.is_empty() {
            for _ in 0..[0, 6, 15, 30][level] {
                let around = moments[rng.usize(..moments.len())];
                let from = around - SignedDuration::from_secs(rng.i64(-300..2400));
                let until = from + SignedDuration::from_secs(rng.i64(300..4200));
                outages.push(Outage { service: SERVICES[rng.usize(..SERVICES.len())], from, until });
            }
        }
        outages.sort_by_key(|outage| outage.from);
        Self {
            faults: [0, 20, 100, 300][level],
            refusals: [0, 30, 100, 200][level],
            lost: [0, 30, 100, 200][level],
            slow: [0, 5, 20, 50][level],
            twice: [0, 50, 200, 800][level],
            skew: [0, 200, 1000, 1000][level],
            outages,
        }
    }

    /// The end of the outage that the service has at an instant, if it has one.
    pub fn out_until(&self, service: Service, at: Timestamp) -> Option<Timestamp> {
        let now = self.outages.iter().take_while(|outage| outage.from <= at);
        now.filter(|outage| outage.service == service && at < outage.until).map(|outage| outage.until).max()
    }

    /// Whether any service is out at some time within an interval.
    pub fn is_troubled(&self, from: Timestamp, until: Timestamp) -> bool {
        self.outages.iter().any(|outage| outage.from < until && from < outage.until)
    }
}

/// Faults by the climate.
#[derive(Debug)]
pub struct Weather {
    /// The climate.
    pub climate: Climate,
    /// Chance.
    pub rng: Rng,
}

impl Faults for Weather {
    fn next(&mut self, call: Call, wall: Timestamp) -> Option<Fault> {
        if self.climate.out_until(call.service(), wall).is_some() {
            return Some(match self.rng.u32(..10) {
                0..6 => Fault::FailBefore,
                6 => Fault::LostBefore,
                7 if call == Call::Read => Fault::FailBefore,
                7 => Fault::FailAfter,
                _ => Fault::Throttle,
            })
            .map(|fault| if fault.can_hit(call) { fault } else { Fault::FailBefore });
        }
        let drawn = self.rng.u32(..10_000);
        if matches!(call, Call::Send(_)) && drawn < self.climate.refusals {
            return Some(Fault::Refuse);
        }
        if self.rng.u32(..10_000) >= self.climate.faults {
            return None;
        }
        let possible: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.can_hit(call)).collect();
        Some(possible[self.rng.usize(..possible.len())])
    }
}
