//! Seeds and what becomes of them: bytes, lines, numbers and brackets changed as a careless or a hostile hand would.

/// Xorshift: the same inputs from the same beginning, on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(beginning: u64) -> Self {
        Random(beginning.max(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `end`; 0 where there is nothing below.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<'a, T: ?Sized>(&mut self, all: &'a [&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Words that readers of text stumble over, whatever they read.
const WORDS: [&[u8]; 46] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"'",
    b"\"",
    b"`",
    b"\\",
    b"\\u0000",
    b"\xff",
    b"\xc3\x28",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\x1b[2J",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"$(",
    b"${",
    b"<<EOF\n",
    b"#",
    b"--",
    b"/*",
    b"*/",
    b";",
    b"|",
    b"&&",
    b"-1",
    b"0",
    b"9007199254740993",
    b"18446744073709551616",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!binary ",
    b"../",
];

/// A maker of inputs.
pub struct Mutant {
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Mutant {
    /// Seeds, and words of their language.
    pub fn new(seeds: impl IntoIterator<Item = impl Into<Vec<u8>>>, words: &[&str]) -> Self {
        let seeds: Vec<Vec<u8>> = seeds.into_iter().map(Into::into).collect();
        assert!(!seeds.is_empty());
        let words = words
            .iter()
            .map(|w| w.as_bytes().to_vec())
            .chain(WORDS.map(<[u8]>::to_vec));
        Mutant {
            seeds,
            words: words.collect(),
        }
    }

    pub fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    /// The next input: a seed, changed one to eight times.
    pub fn next(&self, random: &mut Random, most: usize) -> Vec<u8> {
        let mut bytes = self.seeds[random.below(self.seeds.len())].clone();
        for _ in 0..=random.below(8) {
            self.change(random, &mut bytes);
            bytes.truncate(most.max(self.seeds.iter().map(Vec::len).max().unwrap_or(0) + 1024));
        }
        bytes
    }

    fn change(&self, random: &mut Random, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        let at = random.below(len + 1);
        let end = (at + 1 + random.below(40)).min(len);
        match random.below(16) {
            0 | 1 if at < len => bytes[at] ^= 1 << random.below(8),
            2 if at < len => bytes[at] = random.next() as u8,
            3 | 4 => splice(bytes, at, at, &self.words[random.below(self.words.len())]),
            5 => splice(
                bytes,
                at.min(end),
                end,
                &self.words[random.below(self.words.len())],
            ),
            6 => splice(bytes, at.min(end), end, &[]),
            7 => {
                let part = bytes[at.min(end)..end].to_vec();
                splice(bytes, at, at, &part);
            }
            8 => {
                let part = bytes[at.min(end)..end].to_vec();
                splice(bytes, at, at, &part.repeat(1 + random.below(200)));
            }
            9 => {
                let other = &self.seeds[random.below(self.seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
            10 if random.one_in(4) => bytes.truncate(at),
            11 => {
                let word = &self.words[random.below(self.words.len())];
                splice(bytes, at, at, &word.repeat(1 + random.below(300)));
            }
            12 => number(random, bytes, at),
            13..=15 => lines(random, bytes),
            _ => {}
        }
    }
}

fn splice(bytes: &mut Vec<u8>, from: usize, to: usize, with: &[u8]) {
    bytes.splice(from..to, with.iter().copied());
}

/// Puts another number in place of the next one.
fn number(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n) else {
        return;
    };
    let len = bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let numbers = [
        "0",
        "1",
        "-1",
        "255",
        "65536",
        "2147483648",
        "4294967295",
        "9007199254740992",
        "99999999999999999999",
    ];
    splice(bytes, from, from + len, random.of(&numbers).as_bytes());
}

/// Takes a line out, doubles it, or puts it elsewhere.
fn lines(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut all: Vec<Vec<u8>> = bytes
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if all.is_empty() {
        return;
    }
    let (from, to) = (random.below(all.len()), random.below(all.len()));
    match random.below(3) {
        0 => drop(all.remove(from)),
        1 => all.insert(to, all[from].clone()),
        _ => all.swap(from, to),
    }
    *bytes = all.concat();
}
