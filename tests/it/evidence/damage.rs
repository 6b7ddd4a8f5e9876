//! The damage kit: one good bundle, broken in one way at a time, each with its own answer.

use std::collections::BTreeMap;

use super::*;

mod journal;
mod regions;
mod sealed;

/// One member: its raw header and its contents.
#[derive(Clone)]
pub struct Member {
    header: [u8; 512],
    pub data: Vec<u8>,
}

/// A bundle taken apart.
#[derive(Clone)]
pub struct Kit {
    members: Vec<Member>,
    tail: Vec<u8>,
}

const TOP: &str = ID;
const PS: &str = "data/0001-processes/stdout";
const NOTE: &str = "signoffs/00000005.txt";
const LIST: &str = "tagmanifest-sha256.txt";
const SIG: &str = "tagmanifest-sha256.txt.sig";

impl Kit {
    pub fn new() -> Self {
        Kit::of(&Case::new(ID).bundle())
    }

    pub fn of(bundle: &[u8]) -> Self {
        let mut members = Vec::new();
        let mut at = 0;
        while bundle[at..at + 512].iter().any(|b| *b != 0) {
            let header: [u8; 512] = bundle[at..at + 512].try_into().unwrap();
            let len = usize::try_from(tar::Header::from_byte_slice(&header).size().unwrap()).unwrap();
            members.push(Member {
                header,
                data: bundle[at + 512..at + 512 + len].to_vec(),
            });
            at += 512 + len.div_ceil(512) * 512;
        }
        Kit {
            members,
            tail: bundle[at..].to_vec(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for member in &self.members {
            out.extend(member.header);
            out.extend(&member.data);
            out.resize(out.len().div_ceil(512) * 512, 0);
        }
        out.extend(&self.tail);
        out
    }

    fn at(&self, name: &str) -> usize {
        let full = format!("{TOP}/{name}");
        let found = self.members.iter().position(|m| path_of(&m.header) == full);
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    pub fn get(&mut self, name: &str) -> &mut Member {
        let n = self.at(name);
        &mut self.members[n]
    }

    fn text(&mut self, name: &str) -> String {
        String::from_utf8(self.get(name).data.clone()).unwrap()
    }

    /// New contents, with a true header.
    pub fn set(&mut self, name: &str, data: impl Into<Vec<u8>>) {
        *self.get(name) = member(name, data);
    }

    fn replace(&mut self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{from}");
        self.set(name, text.replacen(from, to, 1));
    }

    /// Changes fields of a header and makes its checksum true.
    fn header(&mut self, name: &str, change: impl FnOnce(&mut [u8; 512])) {
        let header = &mut self.get(name).header;
        change(header);
        checksum(header);
    }

    /// The contents by name.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let file = |m: &Member| (path_of(&m.header)[TOP.len() + 1..].to_owned(), m.data.clone());
        self.members.iter().map(file).collect()
    }

    /// Takes the signature away.
    pub fn unsigned(&mut self) {
        self.members.retain(|m| !path_of(&m.header).ends_with(SIG));
    }

    /// Makes all lists true again, as someone without a key can; the signature goes.
    pub fn relist(&mut self) {
        let manifest = self.listed(true);
        self.set("manifest-sha256.txt", manifest);
        self.relist_tags();
    }

    /// Makes the list of tag files true again; the signature goes.
    pub fn relist_tags(&mut self) {
        let tags = self.listed(false);
        self.set(LIST, tags);
        self.unsigned();
    }

    fn listed(&self, payload: bool) -> String {
        let kept = |name: &str| name.starts_with("data/") == payload && !name.starts_with("tagmanifest");
        let files = self.files().into_iter().filter(|(name, _)| kept(name));
        files
            .map(|(name, data)| format!("{}  {name}\n", Hash::of(&data)))
            .collect()
    }

    /// Makes all lists true and signs them again.
    fn reseal(&mut self, who: &str) {
        self.relist();
        let signature = sign(who, SEAL, &self.get("tagmanifest-sha256.txt").data.clone());
        self.members
            .insert(1, member("tagmanifest-sha256.txt.sig", signature));
    }

    /// Writes the journal again with a change, every link made true, and the seal with it.
    fn rechain(&mut self, change: impl Fn(&mut Vec<incident::journal::Record>)) {
        let mut records: Vec<incident::journal::Record> = self
            .text("journal.jsonl")
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        change(&mut records);
        let mut chain = Chain::default();
        let mut lines = Vec::new();
        for r in records {
            lines.push(chain.write(&r.ts, &r.kind, r.v, r.what, &r.who).unwrap());
        }
        let root = tree(&lines);
        self.set("journal.jsonl", lines.concat());
        let seal: String = self
            .text("SEAL.txt")
            .lines()
            .map(|l| match l.split_once(": ").map_or("", |(key, _)| key) {
                "journal-records" => format!("journal-records: {}\n", chain.next),
                "journal-head" => format!("journal-head: {}\n", chain.head),
                "rfc6962-root" => format!("rfc6962-root: {root}\n"),
                _ => format!("{l}\n"),
            })
            .collect();
        self.set("SEAL.txt", seal);
    }
}

/// RFC 6962, 2.1.
fn tree(lines: &[Vec<u8>]) -> Hash {
    match lines {
        [] => Hash::of(b""),
        [one] => Hash::of(&[&[0], &one[..]].concat()),
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            Hash::of(&[&[1], &tree(left).0[..], &tree(right).0[..]].concat())
        }
    }
}

fn path_of(header: &[u8; 512]) -> String {
    let header = tar::Header::from_byte_slice(header);
    header.path().unwrap().to_str().unwrap().to_owned()
}

pub fn checksum(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A member with the header that a bundle would have, built with crate `tar`.
fn member(name: &str, data: impl Into<Vec<u8>>) -> Member {
    let data = data.into();
    let mut header = tar::Header::new_ustar();
    header.set_path(format!("{TOP}/{name}")).unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_device_major(0).unwrap();
    header.set_device_minor(0).unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(data.len() as u64);
    let mut header = *header.as_bytes();
    checksum(&mut header);
    Member { header, data }
}

/// A member as an attacker would write it: any name, any type.
fn odd(name: &str, kind: u8, link: &str, data: &[u8]) -> Member {
    let mut odd = member("x", data);
    odd.header[..100].fill(0);
    odd.header[..name.len()].copy_from_slice(name.as_bytes());
    odd.header[156] = kind;
    odd.header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    checksum(&mut odd.header);
    odd
}

type Damage = fn(&mut Kit);

/// What is done, the exit code, and where and why the first fault is seen (or who is not vouched for).
const TABLE: &[(&str, Damage, u8, &str)] = &[
    ("nothing", |_| {}, 0, "unchanged: yes"),
    // One bit, region by region.
    (
        "bit: tag manifest",
        |k| {
            let digit = &mut k.get("tagmanifest-sha256.txt").data[80];
            *digit = if *digit == b'0' { b'1' } else { b'0' };
        },
        10,
        "tagmanifest-sha256.txt.sig: the signature does not fit",
    ),
    (
        "bit: signature",
        |k| k.get("tagmanifest-sha256.txt.sig").data[200] ^= 1,
        10,
        "tagmanifest-sha256.txt.sig: ",
    ),
    (
        "bit: seal",
        |k| k.get("SEAL.txt").data[30] ^= 1,
        10,
        "SEAL.txt: its hash is not the one listed",
    ),
    (
        "bit: journal",
        |k| k.get("journal.jsonl").data[500] ^= 1,
        10,
        "journal.jsonl: its hash is not the one listed",
    ),
    (
        "bit: manifest",
        |k| k.get("manifest-sha256.txt").data[3] ^= 1,
        10,
        "manifest-sha256.txt: its hash is not the one listed",
    ),
    (
        "bit: roster",
        |k| k.get("allowed_signers").data[3] ^= 1,
        10,
        "allowed_signers: its hash is not the one listed",
    ),
    (
        "bit: sign-off",
        |k| k.get(NOTE).data[30] ^= 1,
        10,
        "signoffs/00000005.txt: its hash is not the one listed",
    ),
    (
        "bit: evidence",
        |k| k.get(PS).data[3] ^= 1,
        10,
        "data/0001-processes/stdout: its hash is not the one listed",
    ),
    (
        "bit: header",
        |k| k.get(PS).header[3] ^= 1,
        10,
        "the header's checksum is wrong",
    ),
    (
        "bit: padding",
        |k| {
            // Into the contents' last block, past their end.
            let data = &mut k.get(PS).data;
            data.resize(511, 0);
            data.push(1);
        },
        10,
        "data/0001-processes/stdout: the padding after it is not zero",
    ),
    // The archive.
    (
        "cut off in a member",
        |k| {
            k.tail.clear();
            k.members.last_mut().unwrap().data.truncate(1000);
        },
        10,
        "cut off inside `data/0003-rows/rows.csv`",
    ),
    (
        "cut off between members",
        |k| {
            k.tail.clear();
            k.members.pop();
        },
        10,
        "cut off: it has",
    ),
    (
        "end blocks cut off",
        |k| k.tail.truncate(512),
        10,
        "cut off: it has",
    ),
    (
        "data after the end",
        |k| k.tail.extend([0; 512]),
        10,
        "512 bytes follow after the end of the archive",
    ),
    (
        "a second archive",
        |k| k.tail.extend(Kit::new().bytes()),
        10,
        "bytes follow after the end of the archive",
    ),
    (
        "empty",
        |k| (k.members, k.tail) = (Vec::new(), Vec::new()),
        10,
        "byte 0: cut off: it has 0 bytes",
    ),
    (
        "not a tar",
        |k| (k.members, k.tail) = (Vec::new(), vec![b'x'; 4096]),
        10,
        "not a bundle: no tar header stands here",
    ),
    // Members.
    (
        "an extra member",
        |k| k.members.push(member("data/extra", "x")),
        10,
        "data/extra` is in no manifest",
    ),
    (
        "a duplicate at the end",
        |k| k.members.push(member(PS, "evil")),
        10,
        "stdout` appears a second time",
    ),
    (
        "a duplicate in place",
        |k| {
            let n = k.at(PS);
            k.members.insert(n, k.members[n].clone());
        },
        10,
        "stdout` appears a second time",
    ),
    (
        "a second list",
        |k| {
            let list = k.members[0].clone();
            k.members.push(list);
        },
        10,
        "tagmanifest-sha256.txt` appears a second time",
    ),
    (
        "two members swapped",
        |k| {
            let n = k.at(PS);
            k.members.swap(n, n + 1);
        },
        10,
        "rows.csv` stands in the wrong place",
    ),
    (
        "a member renamed",
        |k| *k.get(PS) = member("data/0001-processes/stdouT", "x"),
        10,
        "stdouT` is in no manifest",
    ),
    (
        "a member removed",
        |k| {
            let n = k.at(PS);
            k.members.remove(n);
        },
        10,
        "rows.csv` stands in the wrong place, or what should stand before it is missing",
    ),
    (
        "another top folder",
        |k| {
            let data = k.get(PS).data.clone();
            *k.get(PS) = odd(
                "INC-20261122-0314-else/data/0001-processes/stdout",
                b'0',
                "",
                &data,
            );
        },
        10,
        "is in no manifest",
    ),
    (
        "a case twin, sealed",
        |k| {
            k.members.push(member("data/0003-rows/ROWS.csv", "x"));
            k.members
                .sort_by_key(|m| path_of(&m.header).contains("/data/0003"));
            k.reseal("ana");
        },
        10,
        "upper-case letters could be twins of another name",
    ),
    (
        "a path that climbs",
        |k| k.members.push(odd("INC-20261122-0314-k7qf/../x", b'0', "", b"x")),
        10,
        "climbs out of the bundle",
    ),
    (
        "a path that climbs, sealed",
        |k| {
            k.members
                .push(odd("INC-20261122-0314-k7qf/data/../x", b'0', "", b"x"));
            k.reseal("ana");
        },
        10,
        "a part of the path is empty, `.` or `..`",
    ),
    (
        "an absolute path",
        |k| k.members.push(odd("/etc/cron.d/x", b'0', "", b"x")),
        10,
        "is an absolute path",
    ),
    (
        "a symbolic link",
        |k| *k.get(PS) = odd(&format!("{TOP}/{PS}"), b'2', "/etc/passwd", b""),
        10,
        "is a symbolic link",
    ),
    (
        "a hard link",
        |k| *k.get(PS) = odd(&format!("{TOP}/{PS}"), b'1', "/etc/passwd", b""),
        10,
        "is a hard link",
    ),
    (
        "a device",
        |k| *k.get(PS) = odd(&format!("{TOP}/{PS}"), b'3', "", b""),
        10,
        "is a device",
    ),
    (
        "a PAX header",
        |k| {
            let n = k.at(PS);
            k.members
                .insert(n, odd("pax", b'x', "", b"30 path=/etc/cron.d/evil-thing\n"));
        },
        10,
        "an extended (PAX) header",
    ),
    (
        "a GNU long name",
        |k| {
            let n = k.at(PS);
            k.members
                .insert(n, odd("././@LongLink", b'L', "", b"/etc/cron.d/evil-thing\0"));
        },
        10,
        "a GNU long-name header",
    ),
    (
        "a wrong size",
        |k| k.header(PS, |h| h[124..135].copy_from_slice(b"00000002000")),
        10,
        "no tar header stands here",
    ),
    (
        "a size in base 256",
        |k| k.header(PS, |h| h[124] = 0x80),
        10,
        "states its size in another way",
    ),
    (
        "a huge size",
        |k| k.header(PS, |h| h[124..135].fill(b'7')),
        10,
        "cut off inside",
    ),
    (
        "a huge list",
        |k| {
            k.header("tagmanifest-sha256.txt", |h| {
                h[124..135].copy_from_slice(b"00777777777")
            })
        },
        10,
        "cut off inside",
    ),
    (
        "another mode",
        |k| k.header(PS, |h| h[100..107].copy_from_slice(b"0004755")),
        10,
        "has a mode other than 0644",
    ),
    (
        "another owner",
        |k| k.header(PS, |h| h[114] = b'7'),
        10,
        "has an owner, a time or another field",
    ),
    // Lists.
    (
        "a list out of order, sealed",
        |k| {
            let text = k.text("manifest-sha256.txt");
            let lines: Vec<&str> = text.lines().collect();
            k.set(
                "manifest-sha256.txt",
                format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]),
            );
            k.reseal_lists_as_they_are();
        },
        10,
        "manifest-sha256.txt: line 2: `data/0001-processes/meta.json` is out of order",
    ),
    (
        "an evil tag file, sealed",
        |k| {
            k.members.insert(3, member("autorun.sh", "x"));
            k.reseal("ana");
        },
        10,
        "`autorun.sh`: not a file of a bundle",
    ),
    (
        "no journal, sealed",
        |k| {
            let n = k.at("journal.jsonl");
            k.members.remove(n);
            k.reseal("ana");
        },
        10,
        "`journal.jsonl` is not listed",
    ),
    // Who vouches.
    (
        "unsigned",
        Kit::relist,
        11,
        "vouched for: unknown: nobody signed it",
    ),
    (
        "an unknown signer",
        |k| k.reseal("eve"),
        11,
        "which the pinned signers do not accept",
    ),
    (
        "a signature over something else",
        |k| {
            k.set("tagmanifest-sha256.txt.sig", sign("ana", SEAL, b"something else"));
        },
        10,
        "tagmanifest-sha256.txt.sig: the signature does not fit",
    ),
    (
        "a signature for another purpose",
        |k| {
            let signature = sign("ana", SIGNOFF, &k.get("tagmanifest-sha256.txt").data.clone());
            k.set("tagmanifest-sha256.txt.sig", signature);
        },
        10,
        "tagmanifest-sha256.txt.sig: it was made for `signoff@incident-v1`",
    ),
    (
        "a signature that is none",
        |k| k.set("tagmanifest-sha256.txt.sig", "trust me"),
        10,
        "tagmanifest-sha256.txt.sig: ",
    ),
    (
        "a huge signature",
        |k| k.set("tagmanifest-sha256.txt.sig", vec![b'x'; 20_000]),
        10,
        "larger than 16 KiB",
    ),
    // What is inside does not fit together, whoever signed the lists.
    (
        "an edited record, lists made true",
        |k| {
            k.replace("journal.jsonl", "note.added", "note.edited");
            k.relist();
        },
        10,
        "journal.jsonl, line 8: record 7: it does not follow from the record before it",
    ),
    (
        "an edited record, sealed",
        |k| {
            k.replace("journal.jsonl", "note.added", "note.edited");
            k.reseal("ana");
        },
        10,
        "journal.jsonl, line 8: record 7",
    ),
    (
        "another spelling, sealed",
        |k| {
            k.replace("journal.jsonl", "\"n\":0", "\"n\": 0");
            k.reseal("ana");
        },
        10,
        "not in canonical spelling",
    ),
    (
        "a dropped tail, sealed",
        |k| {
            let text = k.text("journal.jsonl");
            let cut = text.trim_end().rfind('\n').unwrap() + 1;
            k.set("journal.jsonl", &text.as_bytes()[..cut]);
            k.reseal("ana");
        },
        10,
        "SEAL.txt: the head is",
    ),
    (
        "a torn tail, sealed",
        |k| {
            let text = k.text("journal.jsonl");
            k.set("journal.jsonl", text.trim_end());
            k.reseal("ana");
        },
        10,
        "journal.jsonl, line 9: record 8: the line is cut off",
    ),
    (
        "a tail dropped below a sign-off, seal and all made true",
        |k| {
            k.rechain(|records| records.truncate(5));
            k.reseal("ana");
        },
        10,
        "signoffs/00000005.txt: its request is not record 5 of this journal",
    ),
    (
        "history rewritten, seal and all made true",
        |k| {
            k.rechain(|records| records[0].what = json!({"incident": "another story"}));
            k.reseal("ana");
        },
        10,
        "signoffs/00000005.txt: its request is not record 5 of this journal",
    ),
    (
        "a tail dropped above the sign-offs, seal and all made true by ana",
        |k| {
            k.rechain(|records| records.truncate(7));
            k.reseal("ana");
        },
        0,
        "unchanged: yes",
    ),
    (
        "the same by somebody unknown",
        |k| {
            k.rechain(|records| records.truncate(7));
            k.reseal("eve");
        },
        11,
        "which the pinned signers do not accept",
    ),
    (
        "a sign-off of another case, sealed",
        |k| {
            let other = Case::new("INC-20260101-0101-abcd");
            for name in [NOTE, "signoffs/00000005.txt.sig"] {
                k.set(name, fs::read(other.path.join(name)).unwrap());
            }
            k.reseal("ana");
        },
        10,
        "signoffs/00000005.txt: it is about another incident, INC-20260101-0101-abcd",
    ),
    (
        "a sign-off altered, sealed",
        |k| {
            k.replace(NOTE, "approve", "decline");
            k.reseal("ana");
        },
        10,
        "signoffs/00000005.txt.sig: the signature does not fit",
    ),
    (
        "a sign-off by somebody unknown, sealed",
        |k| {
            let statement = k.get(NOTE).data.clone();
            k.set("signoffs/00000005.txt.sig", sign("eve", SIGNOFF, &statement));
            k.reseal("ana");
        },
        11,
        "a sign-off is by a key that the pinned signers do not accept",
    ),
    (
        "a seal passed off as a sign-off, sealed",
        |k| {
            let statement = k.get(NOTE).data.clone();
            k.set("signoffs/00000005.txt.sig", sign("ben", SEAL, &statement));
            k.reseal("ana");
        },
        10,
        "signoffs/00000005.txt.sig: it was made for `seal@incident-v1`",
    ),
    (
        "a sign-off that says its head twice, sealed",
        |k| {
            k.replace(NOTE, "head-seq: 5\n", "head-seq: 5\nhead-seq: 6\n");
            k.reseal("ana");
        },
        10,
        "signoffs/00000005.txt: `head-seq` stands in it twice",
    ),
    (
        "a signature without its statement, sealed",
        |k| {
            let n = k.at(NOTE);
            k.members.remove(n);
            k.reseal("ana");
        },
        10,
        "signoffs/00000005.txt.sig: the statement it signs is not there",
    ),
    (
        "evidence replaced, sealed",
        |k| {
            k.set(PS, "PID CMD\n1 good\n");
            k.reseal("ana");
        },
        10,
        "data/0001-processes/stdout: not what the journal says was stored",
    ),
    (
        "evidence removed, sealed",
        |k| {
            let n = k.at(PS);
            let gone = k.members.remove(n);
            let oxum = k.text("bag-info.txt");
            let total: usize = oxum.lines().last().unwrap()
                ["Payload-Oxum: ".len()..oxum.lines().last().unwrap().len() - 2]
                .parse()
                .unwrap();
            k.set(
                "bag-info.txt",
                oxum.replace(&format!("{total}.3"), &format!("{}.2", total - gone.data.len())),
            );
            k.reseal("ana");
        },
        10,
        "data/0001-processes/stdout: the journal says it was stored, but it is not there",
    ),
    (
        "a wrong total, sealed",
        |k| {
            k.replace("bag-info.txt", "Payload-Oxum: ", "Payload-Oxum: 1");
            k.reseal("ana");
        },
        10,
        "bag-info.txt: not what follows from the seal and the evidence",
    ),
    (
        "a prettier ledger, sealed",
        |k| {
            k.replace("ledger.json", "\"collected\"", "\"skipped\"");
            k.reseal("ana");
        },
        10,
        "ledger.json: it does not say what the journal says",
    ),
    (
        "another seal text, sealed",
        |k| {
            k.replace("SEAL.txt", "sealed-by: ana", "sealed-by:  ana");
            k.reseal("ana");
        },
        10,
        "SEAL.txt: not in the one spelling of a seal",
    ),
];

impl Kit {
    /// Signs lists that were put in by hand.
    fn reseal_lists_as_they_are(&mut self) {
        let manifest = Hash::of(&self.get("manifest-sha256.txt").data);
        let list: String = self
            .text("tagmanifest-sha256.txt")
            .lines()
            .map(|l| match l.ends_with("  manifest-sha256.txt") {
                true => format!("{manifest}  manifest-sha256.txt\n"),
                false => format!("{l}\n"),
            })
            .collect();
        self.set("tagmanifest-sha256.txt.sig", sign("ana", SEAL, list.as_bytes()));
        self.set("tagmanifest-sha256.txt", list);
    }
}

/// Bundles that make other readers write where they should not.
pub fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "nothing",
        "a path that climbs",
        "an absolute path",
        "a symbolic link",
        "a hard link",
        "a device",
        "a PAX header",
        "a GNU long name",
        "a second archive",
    ];
    let good = Kit::new();
    let damaged = TABLE
        .iter()
        .filter(|(what, ..)| names.contains(what))
        .map(|(what, damage, ..)| {
            let mut kit = good.clone();
            damage(&mut kit);
            (*what, kit.bytes())
        });
    damaged.collect()
}

#[test]
fn every_damage_is_refused_for_its_own_reason() {
    let good = Kit::new();
    let mut wrong = String::new();
    for (what, damage, code, words) in TABLE {
        let mut kit = good.clone();
        damage(&mut kit);
        let report = verified(&kit.bytes(), true);
        let said = report.words();
        if report.exit_code() != *code || !said.iter().any(|w| w.contains(words)) {
            wrong += &format!("{what}: {} {said:#?}, not {code} {words}\n", report.exit_code());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_flipped_byte_of_a_bundle_is_accepted() {
    let good = Kit::new().bytes();
    let small = good.len() - 1_290_000; // The large exhibit stands for itself; the rest is tried densely.
    for at in (0..small).step_by(97).chain((small..good.len()).step_by(100_003)) {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        let code = verified(&bad, true).exit_code();
        assert!(code == 10 || code == 11, "byte {at}: {code}");
    }
}

#[test]
fn no_cut_of_a_bundle_is_accepted() {
    let good = Kit::new().bytes();
    for len in (0..good.len())
        .step_by(10_007)
        .chain(good.len() - 1025..good.len())
        .step_by(5)
    {
        assert_eq!(verified(&good[..len], true).exit_code(), 10, "{len} bytes");
    }
}
