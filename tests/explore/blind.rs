//! Who cannot know of a Milvus coordinator that has lost its key: a session whose watch has not told of it yet, and that has
//! read nothing since. What such a session sends the protocol does not promise to stop; so it waits here until that Milvus
//! coordinator has ended.

use crate::body::{Body, Change, Write};
use crate::lab::Lab;
use crate::names::{ACTIVE, MILVUS};
use crate::state::{MILVUS_LEASE, Mail, Part, Post, State};

/// Whether a request would start a term.
pub(crate) fn campaigns(lab: &mut Lab, request: &Part) -> bool {
    match &**lab.body(request.shape) {
        Body::Txn { success, .. } => success.iter().any(|w| matches!(w, Write::Put { key: ACTIVE, .. })),
        _ => false,
    }
}

/// The put by which the Milvus coordinator took the role.
pub(crate) fn is_milvus_put(change: &Change) -> bool {
    matches!(change, Change::Put(item) if item.key == ACTIVE && item.lease == MILVUS_LEASE)
}

/// The Milvus coordinator is about to lose its key.
pub(crate) fn loses_its_key(state: &mut State, lab: &mut Lab) {
    for at in 0..state.mail.len() {
        let Mail { post: Post::Notice(0), seat, part } = state.mail[at] else { continue };
        if let Body::Changes(changes) = &**lab.body(part.shape)
            && changes.iter().any(is_milvus_put)
        {
            state.blind |= 1 << seat;
        }
    }
}

/// A message reaches a session.
pub(crate) fn is_told(state: &mut State, lab: &mut Lab, mail: &Mail) {
    let tells = match &**lab.body(mail.part.shape) {
        Body::Done { items, .. } => items.iter().any(|item| item.key == MILVUS),
        Body::Changes(changes) => changes.iter().any(is_milvus_put),
        _ => false,
    };
    state.blind &= !(u8::from(tells) << mail.seat);
}

/// A session has sent a request.
pub(crate) fn sends(state: &mut State, lab: &mut Lab, seat: u8, request: &Part) {
    if campaigns(lab, request) {
        state.sent_blind = state.sent_blind & !(1 << seat) | state.blind & 1 << seat;
    }
}

/// Whether the store may do this request.
pub(crate) fn may_be_done(state: &State, lab: &mut Lab, mail: &Mail) -> bool {
    state.sent_blind & 1 << mail.seat == 0 || !campaigns(lab, &mail.part)
}

/// Forgets it all where the Milvus coordinator has ended.
pub(crate) fn settle(state: &mut State, lab: &mut Lab) {
    if state.cells[MILVUS as usize].is_none() {
        (state.blind, state.sent_blind) = (0, 0);
    }
    for seat in 0..state.seats.len() as u8 {
        let under_way = |lab: &mut Lab, mail: &Mail| {
            mail.seat == seat && matches!(mail.post, Post::Request(_)) && campaigns(lab, &mail.part)
        };
        if state.sent_blind & 1 << seat != 0 && !state.mail.iter().any(|mail| under_way(lab, mail)) {
            state.sent_blind &= !(1 << seat);
        }
    }
}
