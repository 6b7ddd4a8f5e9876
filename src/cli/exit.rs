//! Exit codes, in one place. Where several apply, the first of [`Exit::worst`]'s order wins.

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done and proved.
    Done = 0,
    /// Something failed.
    Failed = 1,
    /// The command line, or a file written in advance, is wrong.
    Usage = 2,
    /// Waiting for people: a sign-off, an answer, a manual step.
    Waiting = 3,
    /// In doubt, or not proved.
    Unproved = 4,
    /// Refused by the boundary, the order of stages or the plan.
    Refused = 5,
    /// The integrity of a record is broken.
    Broken = 10,
    /// `verify`: unchanged, but nobody known vouches for it.
    NotVouched = 11,
    /// `verify`: vouched for, but incomplete.
    Incomplete = 12,
    /// Interrupted; resumable.
    Interrupted = 130,
}

impl Exit {
    /// The code for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The one that wins: 10, 130, 4, 5, 3, 1, 0 (2, 11 and 12 stand alone and win over 0).
    pub fn worst(self, other: Exit) -> Exit {
        const ORDER: [Exit; 10] = [
            Exit::Broken,
            Exit::Interrupted,
            Exit::Unproved,
            Exit::Refused,
            Exit::Waiting,
            Exit::Failed,
            Exit::Usage,
            Exit::NotVouched,
            Exit::Incomplete,
            Exit::Done,
        ];
        ORDER
            .into_iter()
            .find(|e| *e == self || *e == other)
            .unwrap_or(other)
    }
}

/// The table at the end of `incident --help` and in the manual.
pub const TABLE: &str = "\
  0  everything asked for was done and proved
  1  something failed
  2  the command line, or a file written in advance, is wrong
  3  waiting for people: a sign-off, an answer, a manual step
  4  in doubt, or not proved (a `start` with nothing configured ends here: nobody proved anything)
  5  refused by the boundary, the order of stages or the plan
 10  the integrity of a record is broken
 11  verify: unchanged, but nobody known vouches for it
 12  verify: vouched for, but incomplete
130  interrupted; `incident resume` goes on
Where several apply, the first of 10, 130, 4, 5, 3, 1, 0 wins.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins_in_the_documented_order() {
        assert_eq!(Exit::Done.worst(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Waiting.worst(Exit::Unproved), Exit::Unproved);
        assert_eq!(Exit::Interrupted.worst(Exit::Unproved), Exit::Interrupted);
        assert_eq!(Exit::Broken.worst(Exit::Interrupted), Exit::Broken);
    }
}
