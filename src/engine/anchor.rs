//! Heads held elsewhere, and other hands: what keeps a record from being rewritten by those who have it.

use super::answers::on_record;
use super::{Engine, EngineError, hex};
use crate::evidence::{Stamp, StampRequest};
use crate::journal::{Hash, Head};
use crate::model::event::{AnchorFiled, AnchorKind, AnchorRequested, CustodyHanded, SignerKey};
use crate::model::time::rfc3339;
use crate::sshsig::{self, Signature};
use crate::store::{Folder, Stored};

/// A receipt that was filed, or a request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    /// The head it is about.
    pub head: Head,
    /// When that was, as the holder tells, RFC 3339.
    pub time: Option<String>,
    /// The receipt or the request, below the case folder.
    pub file: String,
    /// The head line, below the case folder.
    pub about: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The record in other hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// Whose.
    pub to: String,
    /// The newest record they were shown.
    pub head: Head,
    /// Fingerprint of the key they signed with.
    pub key: Option<String>,
}

impl Engine<'_> {
    /// The newest record as one line, to be held elsewhere.
    pub fn head_line(&self) -> Result<Head, EngineError> {
        let (seq, hash) = self.head().ok_or(EngineError::NoIncident)?;
        let incident = self.incident()?.id().to_string();
        Ok(Head { incident, seq, hash })
    }

    /// Asks for a time stamp of the newest record: the request is filed and recorded, nothing is sent.
    pub fn ask_stamp(&self) -> Result<Anchored, EngineError> {
        self.catch_up()?;
        let head = self.head_line()?;
        let line = head.line();
        let mut random = [0; 16];
        self.world.entropy.fill(&mut random)?;
        let request = StampRequest::new(Hash::of(line.as_bytes()), random);
        let der = request.der();
        let about = self.keep(&head, "head.txt", line.as_bytes())?;
        let file = self.keep(&head, "tsq", &der)?;
        self.record(AnchorRequested {
            head_seq: head.seq,
            head_sha256: head.hash.to_string(),
            nonce: hex(&request.nonce),
            file: name(&file),
            sha256: file.sha256.to_string(),
        })?;
        Ok(Anchored {
            head,
            time: None,
            file: file.path.display().to_string(),
            about: about.path.display().to_string(),
            bytes: der,
        })
    }

    /// Files an authority's answer to a request of this record. Its signature is for `verify` to prove.
    pub fn file_stamp(&self, reply: &[u8]) -> Result<Anchored, EngineError> {
        self.catch_up()?;
        let stamp = Stamp::parse(reply).map_err(|e| EngineError::Anchor(e.to_string()))?;
        let incident = self.incident()?;
        let nonce = hex(&stamp.nonce);
        let asked = incident.custody.requests.iter().find(|(_, r)| r.nonce == nonce);
        let Some((seq, asked)) = asked else {
            let why = "it answers no request of this record: its nonce is another one";
            return Err(EngineError::Anchor(why.into()));
        };
        let about = Head {
            incident: incident.id().to_string(),
            seq: asked.head_seq,
            hash: Hash::parse(&asked.head_sha256).unwrap_or(Hash::ZERO),
        };
        if stamp.imprint != Hash::of(about.line().as_bytes()) {
            let why = format!(
                "it has the nonce of the request for record {}, and stamps something else",
                about.seq
            );
            return Err(EngineError::Anchor(why));
        }
        if incident
            .custody
            .anchors
            .iter()
            .any(|a| a.event.request == Some(*seq))
        {
            return Err(EngineError::Anchor(format!(
                "the time stamp of record {} is filed already",
                about.seq
            )));
        }
        let file = self.keep(&self.head_line()?, "tsr", reply)?;
        let time = rfc3339(stamp.at_ms);
        self.record(AnchorFiled {
            anchor: AnchorKind::TimeStamp,
            head_seq: about.seq,
            head_sha256: about.hash.to_string(),
            time: Some(time.clone()),
            words: String::new(),
            request: Some(*seq),
            file: name(&file),
            sha256: file.sha256.to_string(),
        })?;
        Ok(Anchored {
            time: Some(time),
            file: file.path.display().to_string(),
            about: format!("anchors/{}", asked.file.replace(".tsq", ".head.txt")),
            bytes: Vec::new(),
            head: about,
        })
    }

    /// Records that people were shown a head: the one of this short code, else the newest.
    pub fn witnessed(&self, words: &str, code: Option<&str>) -> Result<Anchored, EngineError> {
        self.catch_up()?;
        let newest = self.head_line()?;
        let head = match code {
            None => newest.clone(),
            Some(code) => self.head_of(&newest, code)?,
        };
        let line = head.line();
        let file = self.keep(&newest, "head.txt", line.as_bytes())?;
        self.record(AnchorFiled {
            anchor: AnchorKind::Witness,
            head_seq: head.seq,
            head_sha256: head.hash.to_string(),
            time: None,
            words: self.words(words)?,
            request: None,
            file: name(&file),
            sha256: file.sha256.to_string(),
        })?;
        let file = file.path.display().to_string();
        Ok(Anchored {
            head,
            time: None,
            about: file.clone(),
            file,
            bytes: line.into_bytes(),
        })
    }

    /// The one record of this short code.
    fn head_of(&self, newest: &Head, code: &str) -> Result<Head, EngineError> {
        let recorder = self.recorder.borrow();
        let mut found = (0..=newest.seq)
            .filter_map(|seq| Some((seq, recorder.hash_of(seq)?)))
            .filter(|(_, hash)| hash.short() == code);
        match (found.next(), found.next()) {
            (Some((seq, hash)), None) => Ok(Head {
                seq,
                hash,
                incident: newest.incident.clone(),
            }),
            (None, _) => Err(EngineError::Anchor(format!(
                "no record has the head code {code}: what was shown is not of this record"
            ))),
            (Some(_), Some(_)) => Err(EngineError::Anchor(format!(
                "several records have the head code {code}"
            ))),
        }
    }

    /// Hands the record over. With a key the receiver signs for the head they are shown.
    pub fn hand_over(&self, to: &str, key: Option<&str>) -> Result<HandedOver, EngineError> {
        self.catch_up()?;
        let head = self.head_line()?;
        let mut signed = None;
        let mut file = None;
        if let Some(key) = key {
            let receipt = format!(
                "incident-handover v1\nfrom: {}\nto: {to}\n{}",
                self.who(),
                head.line()
            );
            let signature = self.ssh_sign(key, self.handover_namespace()?, receipt.as_bytes())?;
            let signer = self.receiver(to, &signature, receipt.as_bytes())?;
            let kept = self.keep(&head, "handover.txt", receipt.as_bytes())?;
            self.keep(&head, "handover.txt.sig", &signature)?;
            (signed, file) = (Some(signer), Some(name(&kept)));
        }
        let fingerprint = signed.as_ref().map(|k| k.fingerprint.clone());
        self.record(CustodyHanded {
            to: self.scrubbed(to),
            head_seq: head.seq,
            head_sha256: head.hash.to_string(),
            key: signed,
            file,
        })?;
        Ok(HandedOver {
            to: to.to_owned(),
            head,
            key: fingerprint,
        })
    }

    fn handover_namespace(&self) -> Result<&'static str, EngineError> {
        Ok(crate::evidence::handover_namespace(self.incident()?.id()))
    }

    /// The key behind a receipt, where the pinned roster says that it is the receiver's.
    fn receiver(&self, to: &str, signature: &[u8], receipt: &[u8]) -> Result<SignerKey, EngineError> {
        let no = |why: String| EngineError::Anchor(format!("the receipt does not count: {why}"));
        let namespace = self.handover_namespace()?;
        let parsed = Signature::parse(signature).map_err(|e| no(e.to_string()))?;
        let key = sshsig::verify(&parsed, receipt, namespace).map_err(|e| no(e.to_string()))?;
        let now = self.world.clock.now().utc_ms;
        if self.is_revoked(&key, namespace, now)? {
            return Err(no(format!("the key {} is revoked", key.fingerprint)));
        }
        let roster = self.roster();
        let who = roster
            .who_signed(&key, namespace, now)
            .map_err(|e| no(e.to_string()))?;
        if !who.eq_ignore_ascii_case(to) {
            return Err(no(format!("the key is {who}'s, not {to}'s")));
        }
        Ok(on_record(&key))
    }

    /// Files something in `anchors/`, numbered one past this head: no bundle sealed by then has it.
    fn keep(&self, newest: &Head, end: &str, bytes: &[u8]) -> Result<Stored, EngineError> {
        let name = format!("{:08}.{end}", newest.seq + 1);
        self.with_case(|case| case.write_once(Folder::Anchors, &name, bytes))
    }
}

fn name(stored: &Stored) -> String {
    let name = stored.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
