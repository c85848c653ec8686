//! The application behind a session: it gets ready, leaves, and writes while its session holds the role.

use coordha::election::{Event, Request};
use coordha::error::{Error, ErrorKind};
use fastrand::Rng;

use super::World;
use super::clock::{Ns, SECOND};
use super::message::{Kind, Step};

impl World {
    /// What the application does when it is told something.
    pub(crate) fn application(&mut self, at: usize, event: &Event) {
        let node = &mut self.nodes[at];
        if node.config.auto {
            return;
        }
        let app = &node.config.app;
        let chance = node.rng.u32(0..1000);
        let (after, request) = match event {
            Event::Activate { token } => {
                let token = *token;
                let ready = Request::ActivationDone { token, result: Ok(()) };
                let error = Error::new(ErrorKind::ActivationFailed, "it cannot load");
                let failed = Request::ActivationDone { token, result: Err(error) };
                let limit = node.clock.span(node.config.activation_timeout);
                match chance {
                    c if c < app.fails => (Some(app.activate), failed),
                    c if c < app.fails + app.hangs => (None, ready),
                    c if c < app.fails + app.hangs + app.late => (Some(near(&mut node.rng, limit)), ready),
                    _ => (Some(app.activate), ready),
                }
            }
            Event::Deactivate { token, .. } => {
                let left = Request::DeactivationDone { token: *token };
                let limit = node.clock.span(node.config.deactivation_timeout);
                match chance {
                    c if c < app.slow => (Some(near(&mut node.rng, limit)), left),
                    c if c < app.slow + app.stuck => (None, left),
                    _ => (Some(app.leave), left),
                }
            }
            _ => return,
        };
        let proc = node.proc;
        match after {
            Some(after) => self.push(self.now + after, Step::App { node: at, proc, request }),
            None => node.owed.push(request),
        }
    }

    /// Counts a request, and lets an application that holds write now and then.
    pub(crate) fn sent(&mut self, at: usize, kind: Kind) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if node.record {
            node.sent.push((now, kind));
        }
        if now >= node.window.0 + SECOND {
            node.window = (now, 0);
        }
        node.window.1 += 1;
        if matches!(kind, Kind::Renew | Kind::Release) && node.status.token != 0 && node.rng.u8(0..4) == 0 {
            let limit = node.hold(0) / 4;
            let delay = near(&mut node.rng, limit);
            let (proc, token) = (node.proc, node.status.token);
            if node.holds(now) {
                self.push(now + delay, Step::Write { node: at, proc, token });
            }
        }
    }
}

/// A time about as long as `limit`: at it, beside it, or anywhere up to twice as long.
pub(crate) fn near(rng: &mut Rng, limit: Ns) -> Ns {
    match rng.u8(0..6) {
        0 => limit.saturating_sub(1),
        1 => limit,
        2 => limit + 1,
        3 => limit.saturating_sub(limit / 50),
        4 => limit + limit / 50,
        _ => rng.u64(0..=2 * limit),
    }
}
