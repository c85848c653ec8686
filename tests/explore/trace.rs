//! A way to a broken rule, in words.

use std::sync::Arc;

use crate::lab::{Lab, NOW};
use crate::moves::{self, Move};
use crate::names;
use crate::plan::Plan;
use crate::search::Broken;
use crate::state::{Mail, State};

/// Goes the way again, and says what happened.
pub(crate) fn print(plan: &Arc<Plan>, broken: &Broken) {
    let mut lab = Lab::new(plan, &broken.shared);
    let mut state = moves::start(&mut lab).unwrap();
    println!("  start");
    show(&state, &mut lab);
    for (step, by) in broken.path.iter().enumerate() {
        let mut chosen = None;
        let mut n = 0;
        let mut emit = |_: &mut Lab, what: Move, next: State| {
            if n == *by {
                chosen = Some((what, next));
            }
            n += 1;
        };
        moves::successors(&state, &mut lab, &mut emit).unwrap();
        let (what, next) = chosen.unwrap();
        println!("  {:>3}. {}", step + 1, words(&what, &mut lab));
        state = next;
        show(&state, &mut lab);
    }
    if let Some(what) = &broken.last {
        println!("  then {}", words(what, &mut lab));
    }
    println!("  broken: {}", broken.why);
}

fn words(what: &Move, lab: &mut Lab) -> String {
    let mut mail = |mail: &Mail| {
        let body = lab.body(mail.part.shape);
        format!("{:?} {body:?} {:?} (seat {})", mail.post, mail.part.revs(), mail.seat)
    };
    match what {
        Move::Deliver(m) => format!("delivered: {}", mail(m)),
        Move::Apply(m) => format!("the store does: {}", mail(m)),
        Move::Refuse(m) => format!("refused: {}", mail(m)),
        other => format!("{other:?}"),
    }
}

fn show(state: &State, lab: &mut Lab) {
    for (i, seat) in state.seats.iter().enumerate() {
        let shape = Arc::clone(lab.shape(seat.part.shape));
        let status = shape.election.status();
        let left = status.deadline.since(NOW).as_millis();
        let token = seat.part.at(shape.token);
        let acts = if shape.active { "ACTIVE" } else { "" };
        println!(
            "       session {} (seat {i}) {:?} token {token} left {left} ms {acts} waits for lanes {:03b}",
            seat.client, status.role, shape.lanes
        );
    }
    for (key, cell) in state.cells.iter().enumerate() {
        if let Some(cell) = cell.filter(|_| key as u8 == names::ACTIVE || key as u8 == names::TERM) {
            let value = String::from_utf8_lossy(&lab.template(cell.value)).into_owned();
            println!(
                "       {} @{} token {} lease {}: {value}",
                names::key(key as u8).escape_ascii(),
                cell.modified,
                cell.token,
                cell.lease
            );
        }
    }
}
