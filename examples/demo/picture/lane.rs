//! Labels in one line that do not lie on each other.

/// Room between two labels.
const SPACE: f64 = 6.0;

/// A label: where its middle should be, and how wide it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) centre: f64,
    pub(super) width: f64,
}

/// The left edge of each, as near to the wish as the neighbours and the bounds allow. The wishes come from left to right.
pub(super) fn place(wishes: &[Wish], left: f64, right: f64) -> Vec<f64> {
    let mut edges: Vec<f64> = Vec::with_capacity(wishes.len());
    let mut free = left;
    for wish in wishes {
        let edge = (wish.centre - wish.width / 2.0).max(free);
        edges.push(edge);
        free = edge + wish.width + SPACE;
    }
    let mut bound = right;
    for (edge, wish) in edges.iter_mut().zip(wishes).rev() {
        *edge = edge.min(bound - wish.width);
        bound = *edge - SPACE;
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(centres: &[f64]) -> Vec<f64> {
        let wishes: Vec<Wish> = centres.iter().map(|centre| Wish { centre: *centre, width: 20.0 }).collect();
        place(&wishes, 0.0, 200.0)
    }

    #[test]
    fn a_label_with_room_stands_over_its_mark() {
        assert_eq!(placed(&[50.0, 100.0]), [40.0, 90.0]);
    }

    #[test]
    fn labels_that_are_near_each_other_are_moved_apart() {
        let edges = placed(&[50.0, 55.0, 60.0]);
        assert!(edges.windows(2).all(|pair| pair[0] + 20.0 <= pair[1]), "{edges:?}");
    }

    #[test]
    fn labels_stay_within_the_bounds() {
        let edges = placed(&[0.0, 195.0, 199.0]);
        assert_eq!(edges[0], 0.0);
        assert_eq!(edges[2], 180.0);
        assert!(edges[1] + 20.0 <= edges[2], "{edges:?}");
    }
}
