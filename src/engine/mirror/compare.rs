//! What a place holds, against the record here.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::engine::EngineError;
use crate::journal::{self, Chain, Hash};
use crate::store::{Case, StoreError};
use crate::world::World;

/// Largest object that is read: a batch, or the lines of all of them in one file.
const CAP: u64 = 256 << 20;

/// How far a copy agrees with the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Records here, as far as they are good.
    pub here: u64,
    /// Records there that follow one another.
    pub there: u64,
    /// Records from the first on that are the same, byte for byte.
    pub same: u64,
    /// The first record that differs or that only one side could have lost, and what is wrong with it.
    pub differs: Option<(u64, String)>,
}

/// Compares a folder of batches as it was fetched from a place, or one file of them, with the record.
pub fn compare(world: &World, case: &Case, copy: &Path) -> Result<Agreement, EngineError> {
    let mut here: Vec<Hash> = Vec::new();
    match case.read(|line| here.push(line.hash)) {
        // Its good part can still be compared; that it is damaged is said by whoever verifies it.
        Ok(_) | Err(StoreError::Damaged(_)) => {}
        Err(e) => return Err(e.into()),
    }
    let no = |path: &Path, e: std::io::Error| EngineError::File {
        path: path.display().to_string(),
        why: e.to_string(),
    };
    let is_folder = world.files.stat(copy).map_err(|e| no(copy, e))?.is_dir;
    let files: Vec<PathBuf> = match is_folder {
        true => {
            let all = world.files.list(copy).map_err(|e| no(copy, e))?;
            let batches = all.into_iter().filter(|name| is_batch(name));
            batches.map(|name| copy.join(name)).collect()
        }
        false => vec![copy.to_owned()],
    };
    let mut there = Copy::default();
    for file in &files {
        let bytes = world.files.read(file, CAP).map_err(|e| no(file, e))?;
        there.take(&bytes);
    }
    Ok(there.against(&here))
}

/// `00000003-00000007.jsonl`
fn is_batch(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let digits = |text: &str| text.len() >= 8 && text.bytes().all(|b| b.is_ascii_digit());
    name.strip_suffix(".jsonl")
        .and_then(|range| range.split_once('-'))
        .is_some_and(|(first, last)| digits(first) && digits(last))
}

/// The lines there, as far as they are one chain.
#[derive(Default)]
struct Copy {
    chain: Chain,
    /// In the order of the chain.
    hashes: Vec<Hash>,
    /// The same, to ask whether a line was there before.
    seen: HashSet<Hash>,
    broken: Option<String>,
}

impl Copy {
    fn take(&mut self, bytes: &[u8]) {
        for line in journal::lines(bytes) {
            if self.broken.is_some() {
                return;
            }
            match self.chain.check_line(line) {
                Ok(line) => {
                    self.hashes.push(line.hash);
                    self.seen.insert(line.hash);
                }
                // The same line twice says nothing new.
                Err(_) if self.seen.contains(&Hash::of(line)) => {}
                Err(e) => self.broken = Some(e.to_string()),
            }
        }
    }

    fn against(self, here: &[Hash]) -> Agreement {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let same = here.iter().zip(&self.hashes).take_while(|(a, b)| a == b).count();
        let (ours, theirs) = (here.len(), self.hashes.len());
        let differs = match self.broken {
            _ if same < ours && same < theirs => Some("it is another record there".to_owned()),
            _ if same < theirs => Some("it is there and no longer here".to_owned()),
            Some(why) => Some(format!("what is there from it on is damaged: {why}")),
            None => None,
        };
        Agreement {
            here: count(ours),
            there: count(theirs),
            same: count(same),
            differs: differs.map(|why| (count(same), why)),
        }
    }
}
