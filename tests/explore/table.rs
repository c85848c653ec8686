//! The states that were reached, as fingerprints of 128 bits.

/// A set of fingerprints, each with the number of its state.
pub(crate) struct Table {
    prints: Vec<u128>,
    numbers: Vec<u32>,
    len: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::with_room(1 << 12)
    }

    fn with_room(room: usize) -> Self {
        Self { prints: vec![0; room], numbers: vec![0; room], len: 0 }
    }

    /// The number of the state with this fingerprint, and whether it is new: then its number is the next one.
    pub(crate) fn insert(&mut self, print: u128) -> (u32, bool) {
        if self.len * 4 >= self.prints.len() * 3 {
            self.grow();
        }
        let at = self.find(print);
        if self.prints[at] == print {
            return (self.numbers[at], false);
        }
        self.prints[at] = print;
        self.numbers[at] = self.len as u32;
        self.len += 1;
        (self.len as u32 - 1, true)
    }

    fn find(&self, print: u128) -> usize {
        let mask = self.prints.len() - 1;
        // Its lowest bits say which table it is in.
        let mut at = (print >> 16) as usize & mask;
        while self.prints[at] != 0 && self.prints[at] != print {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let mut larger = Self::with_room(self.prints.len() * 2);
        for (print, number) in self.prints.iter().zip(&self.numbers) {
            if *print != 0 {
                let at = larger.find(*print);
                larger.prints[at] = *print;
                larger.numbers[at] = *number;
            }
        }
        larger.len = self.len;
        *self = larger;
    }
}
