//! What must hold in every state.

use coordha::election::Role;

use crate::lab::Lab;
use crate::state::{State, Top};
use crate::store::Breach;

/// Whether a session may be called active at this instant.
pub(crate) fn someone_is_active(state: &State, lab: &mut Lab) -> bool {
    state.seats.iter().any(|seat| lab.shape(seat.part.shape).active)
}

/// Checks a state, and remembers who acts by which token.
pub(crate) fn check(state: &mut State, lab: &mut Lab) -> Result<(), Breach> {
    let mut active: Option<Top> = None;
    for seat in &state.seats {
        let shape = lab.shape(seat.part.shape);
        if shape.role == Role::Ended && !seat.stopped {
            return Err(format!("session {} has ended by itself", seat.client));
        }
        if !shape.active {
            continue;
        }
        let token = seat.part.at(shape.token);
        if let Some(other) = active {
            return Err(format!("sessions {} and {} are active at once", other.client, seat.client));
        }
        active = Some(Top { token, client: seat.client, over: false });
    }
    let top = &mut state.top;
    match active {
        None => top.over = true,
        Some(now) if now.token < top.token => {
            return Err(format!("session {} is active with a token that is not the highest", now.client));
        }
        Some(now) if now.token == top.token && now.client != top.client => {
            return Err("two sessions were active with one token".into());
        }
        Some(now) if now.token == top.token && top.over => {
            return Err(format!("session {} is active again in a term that was over", now.client));
        }
        Some(now) => *top = now,
    }
    Ok(())
}
