//! What is left to do where the core itself has failed (a panic, caught): the session is lost from that instant, the
//! application is told the rest of its term, and the session ends once it has left. Other sessions go on.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::{Core, Driver, clock};
use crate::election::{Event, Reason, Request, Role, Status, Time};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;

/// What the application was told of its last term, and what it has answered.
#[derive(Debug)]
pub(super) struct Ledger {
    auto: bool,
    deactivation_timeout: Duration,
    /// The last term that was to be activated; 0: none ever was.
    token: Revision,
    term_ended: bool,
    deactivate: bool,
    left: bool,
    ended: bool,
    defect: Option<Defect>,
}

#[derive(Debug)]
struct Defect {
    error: Error,
    server_id: i64,
    left_by: Time,
}

impl Ledger {
    pub(super) fn new(auto: bool, deactivation_timeout: Duration) -> Self {
        Self {
            auto,
            deactivation_timeout,
            token: 0,
            term_ended: true,
            deactivate: true,
            left: true,
            ended: false,
            defect: None,
        }
    }

    pub(super) fn told(&mut self, event: &Event) {
        match event {
            Event::Activate { token } => {
                self.token = *token;
                (self.term_ended, self.deactivate) = (false, false);
                // The core answers itself where nobody else is asked.
                self.left = self.auto;
            }
            Event::Deactivate { .. } => self.deactivate = true,
            Event::TermEnded { .. } => self.term_ended = true,
            Event::Ended(_) => self.ended = true,
            _ => {}
        }
    }

    /// "Left" was said.
    pub(super) fn left(&mut self, token: Revision) {
        self.left |= token == self.token;
    }

    /// The term that the application was asked to leave and has not left.
    pub(super) fn unanswered(&self) -> Option<Revision> {
        (self.deactivate && !self.left && !self.ended).then_some(self.token)
    }

    pub(super) fn is_defect(&self) -> bool {
        self.defect.is_some()
    }

    /// When a failed session ends, whether the application has left or not.
    pub(super) fn left_by(&self) -> Option<Time> {
        let defect = self.defect.as_ref().filter(|_| !self.ended)?;
        Some(defect.left_by)
    }

    /// What the application must still be told after a failure.
    fn rest(&self, error: &Error) -> Vec<Event> {
        let (token, reason) = (self.token, Reason::Internal);
        let mut rest = Vec::new();
        if !self.term_ended {
            rest.push(Event::TermEnded {
                token,
                reason,
                error: Some(error.clone()),
            });
        }
        if !self.deactivate {
            let error = Some(error.clone());
            rest.push(Event::Deactivate {
                token,
                reason,
                held: false,
                error,
            });
        }
        rest
    }
}

impl Driver {
    /// The core has panicked.
    pub(super) fn defect(self: &Arc<Self>, core: &mut Core, now: Time, panic: &(dyn Any + Send)) {
        let text = panic_text(panic);
        let error = Error::new(
            ErrorKind::Internal,
            format!("a defect of the library has ended the session: {text}"),
        );
        core.next = None;
        core.ledger.defect = Some(Defect {
            error: error.clone(),
            server_id: self.published.server_id(),
            left_by: now + core.ledger.deactivation_timeout,
        });
        let rest = core.ledger.rest(&error);
        let status = self.publish_defect(core);
        for event in rest {
            self.tell(core, now, &status, event);
        }
        if core.ledger.left {
            self.end_defect(core, now);
        } else {
            self.sink.published();
        }
        let role = self.name[2].clone();
        self.shared.log(move || tracing::error!(role, "{error}"));
    }

    /// A call on the session has failed by a defect outside the core: it can no longer be trusted to lead.
    #[cfg(feature = "capi")]
    pub(crate) fn fail(self: &Arc<Self>, text: &'static str) {
        self.locked(|core| {
            if !core.ledger.is_defect() && !core.ledger.ended {
                self.defect(core, clock::now(), &text);
            }
        });
    }

    pub(super) fn request_after_defect(
        self: &Arc<Self>,
        core: &mut Core,
        request: &Request,
    ) -> Result<()> {
        match request {
            Request::Stop => Ok(()),
            _ if core.ledger.ended => Err(Error::new(ErrorKind::Ended, "the session has ended")),
            Request::DeactivationDone { token } if core.ledger.unanswered() == Some(*token) => {
                core.ledger.left(*token);
                self.end_defect(core, clock::now());
                Ok(())
            }
            _ => Err(Error::new(
                ErrorKind::Fenced,
                "the term is over: a defect of the library has ended the session",
            )),
        }
    }

    pub(super) fn end_defect_in_time(self: &Arc<Self>, core: &mut Core, now: Time) {
        if core.ledger.left_by().is_some_and(|at| at <= now) {
            self.end_defect(core, now);
        }
    }

    fn end_defect(self: &Arc<Self>, core: &mut Core, now: Time) {
        let Some(error) = core.ledger.defect.as_ref().map(|d| d.error.clone()) else {
            return;
        };
        if core.ledger.ended {
            return;
        }
        core.ledger.ended = true;
        let status = self.publish_defect(core);
        self.tell(core, now, &status, Event::Ended(Some(error)));
        self.sink.published();
    }

    fn publish_defect(&self, core: &Core) -> Status {
        let ledger = &core.ledger;
        let status = Status {
            role: if ledger.ended {
                Role::Ended
            } else {
                Role::Deactivating
            },
            token: 0,
            deadline: Time(0),
            ending: false,
            server_id: ledger.defect.as_ref().map_or(0, |d| d.server_id),
        };
        self.published.publish(&status);
        status
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without words".to_owned()
    }
}
