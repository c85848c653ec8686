//! Long random walks, for what is too large to be explored: three sessions, and everything that may go wrong.

use std::sync::Arc;

use crate::lab::{Lab, Shared};
use crate::moves;
use crate::plan::Plan;
use crate::search::Broken;
use crate::store::LEASES_USED_UP;

/// So many moves a walk.
const STEPS: usize = 400;

/// After so many walks what was remembered is forgotten, or memory would grow with each.
const WALKS_A_LAB: usize = 50;

/// What the walks came to.
pub(crate) struct Walked {
    pub(crate) steps: usize,
    /// Moves after which somebody was active who was not before.
    pub(crate) takeovers: usize,
    /// Walks that came to the model's end.
    pub(crate) cut: usize,
    pub(crate) breach: Option<Broken>,
}

/// Walks so often from the start; each move is drawn from all that could come next.
pub(crate) fn walk(plan: &Arc<Plan>, walks: usize, seed: u64) -> Walked {
    let mut shared = Arc::new(Shared::default());
    let mut lab = Lab::new(plan, &shared);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut walked = Walked { steps: 0, takeovers: 0, cut: 0, breach: None };
    for n in 1..=walks {
        if n % WALKS_A_LAB == 0 {
            shared = Arc::default();
            lab = Lab::new(plan, &shared);
        }
        let mut state = moves::start(&mut lab).expect("the start breaks nothing");
        let mut path = Vec::with_capacity(STEPS);
        let mut active = crate::check::someone_is_active(&state, &mut lab);
        for _ in 0..STEPS {
            let mut next = Vec::new();
            let mut emit = |_: &mut Lab, _: moves::Move, state| next.push(state);
            if let Err((what, why)) = moves::successors(&state, &mut lab, &mut emit) {
                if why == LEASES_USED_UP {
                    walked.cut += 1;
                    break;
                }
                walked.breach = Some(Broken { why, path, last: Some(what), shared });
                return walked;
            }
            if next.is_empty() {
                break;
            }
            let by = random.usize(..next.len());
            path.push(by as u8);
            state = next.swap_remove(by);
            let now = crate::check::someone_is_active(&state, &mut lab);
            walked.takeovers += usize::from(now && !active);
            active = now;
            walked.steps += 1;
        }
    }
    walked
}
