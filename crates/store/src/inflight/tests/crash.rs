//! Every crash point: whatever part of the writes a dead process has made,
//! the rows are exactly those of the exchanges that were begun and are not in
//! the journal, each as it was last.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::*;

/// Memory that notes each write, and fails or tears one when it is told to.
#[derive(Default)]
struct Noted {
    inner: InMemory,
    writes: Mutex<Vec<(u64, Vec<u8>)>>,
    /// The next write fails after this share of its bytes, in 256ths.
    fails_after: Mutex<Option<u8>>,
}

impl Medium for Arc<Noted> {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fails_after = self.fails_after.lock().unwrap().take();
        let part = match fails_after {
            Some(share) => &bytes[..bytes.len() * usize::from(share) / 256],
            None => bytes,
        };
        self.writes.lock().unwrap().push((offset, part.to_vec()));
        self.inner.write(part, offset)?;
        // What is missing may lie there already, from a write before.
        let mut there = vec![0; bytes.len()];
        let read = self.inner.read(&mut there, offset)?;
        match read == bytes.len() && there == bytes {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read(bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Begin(usize),
    /// Of the exchange under way at this place.
    Amend(usize, usize),
    End(usize, usize),
    Cancel(usize),
    /// The journal writes what was sent.
    Write,
    Tidy,
    /// The next write fails half-way.
    Fail(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let length = prop_oneof![4 => 0usize..300, 1 => 3_000usize..ROW_BYTES_MAX - 16];
    prop_oneof![
        4 => length.clone().prop_map(Op::Begin),
        3 => (0usize..8, length.clone()).prop_map(|(at, length)| Op::Amend(at, length)),
        3 => (0usize..8, length).prop_map(|(at, length)| Op::End(at, length)),
        1 => (0usize..8).prop_map(Op::Cancel),
        2 => Just(Op::Write),
        1 => Just(Op::Tidy),
        1 => any::<u8>().prop_map(Op::Fail),
    ]
}

/// What must be found.
#[derive(Clone, Default)]
struct Model {
    /// Exchanges that are not in the journal, by their number.
    rows: BTreeMap<u64, (InflightState, Vec<u8>)>,
    /// Sent to the journal, and where they are there.
    sent: BTreeMap<u64, u64>,
    /// Where the journal ends for readers.
    written: u64,
    /// Cancelled, but that could not be written: they may be found.
    unsure: BTreeSet<u64>,
}

impl Model {
    fn is_journalled(&self, number: u64) -> bool {
        let sequence = self.sent.get(&number);
        sequence.is_some_and(|sequence| *sequence <= self.written)
    }
}

/// Runs a script.
struct Run {
    table: InflightTable,
    noted: Arc<Noted>,
    journal: SlowJournal,
    open: Vec<(u64, Tag)>,
    model: Model,
    next: u64,
    /// After so many writes it was so.
    steps: Vec<(usize, Model)>,
}

fn row(number: u64, version: u64, length: usize) -> Vec<u8> {
    let filler = (0..length).map(|at| (at as u64 * 31 + number * 7 + version) as u8);
    let head = [number.to_le_bytes(), version.to_le_bytes()].concat();
    head.into_iter().chain(filler).collect()
}

fn number(row: &InflightRow) -> u64 {
    u64::from_le_bytes(row.bytes[..8].try_into().unwrap())
}

impl Run {
    fn new() -> Self {
        let noted = Arc::<Noted>::default();
        let table = InflightTable::begun(Box::new(noted.clone()), None, 0, OPTIONS).unwrap();
        let mut run = Self {
            table,
            noted,
            journal: SlowJournal::default(),
            open: Vec::new(),
            model: Model::default(),
            next: 1,
            steps: Vec::new(),
        };
        run.step();
        run
    }

    fn step(&mut self) {
        let writes = self.noted.writes.lock().unwrap().len();
        self.steps.push((writes, self.model.clone()));
    }

    /// What a row is now that it was written, if it was.
    fn put(&mut self, number: u64, state: InflightState, bytes: Vec<u8>) {
        self.model.rows.insert(number, (state, bytes));
    }

    fn run(&mut self, op: Op) {
        let version = self.steps.len() as u64;
        match op {
            Op::Begin(length) => {
                let bytes = row(self.next, version, length);
                if let Ok(tag) = self.table.begin(&bytes) {
                    self.put(self.next, InflightState::Begun, bytes);
                    self.open.push((self.next, tag));
                }
                self.next += 1;
            }
            Op::Amend(at, length) => {
                let Some((number, tag)) = self.open.get_mut(at) else {
                    return;
                };
                let (number, bytes) = (*number, row(*number, version, length));
                if self.table.amend(tag, &bytes).is_ok() {
                    self.put(number, InflightState::Begun, bytes);
                }
            }
            Op::End(at, length) if at < self.open.len() => {
                let (number, tag) = self.open.swap_remove(at);
                let bytes = row(number, version, length);
                let ticket = self.journal.send();
                self.model.sent.insert(number, ticket.sequence());
                // Sent, and not ended: killed here it is still under way.
                self.step();
                let errors = self.table.health().errors;
                self.table.end(tag, &bytes, &ticket);
                if self.table.health().errors == errors {
                    self.put(number, InflightState::Ended, bytes);
                }
            }
            Op::Cancel(at) if at < self.open.len() => {
                let (number, tag) = self.open.swap_remove(at);
                let errors = self.table.health().errors;
                self.table.cancel(tag);
                self.model.rows.remove(&number);
                if self.table.health().errors > errors {
                    self.model.unsure.insert(number);
                }
            }
            Op::End(..) | Op::Cancel(_) => {}
            Op::Write => self.model.written = self.journal.write(),
            Op::Tidy => self.table.tidy(self.model.written),
            Op::Fail(share) => *self.noted.fails_after.lock().unwrap() = Some(share),
        }
        self.step();
    }
}

/// What is found where this was written must be what the model says.
fn check(image: &InMemory, model: &Model, what: &str) {
    let header = Header::read(image).unwrap();
    assert!(matches!(header, Found::Header(_)), "{what}");
    let mut found = BTreeMap::new();
    for row in cells::rows(image).unwrap() {
        let number = number(&row);
        if let Some(sequence) = model.sent.get(&number) {
            assert!(*sequence > row.since, "{what}: {number} is not looked for");
        }
        if !model.is_journalled(number) && !model.unsure.contains(&number) {
            let before = found.insert(number, (row.state, row.bytes));
            assert_eq!(before, None, "{what}: {number} twice");
        }
    }
    let mut expected = model.rows.clone();
    expected.retain(|number, _| !model.is_journalled(*number));
    assert!(
        found == expected,
        "{what}: {found:?} instead of {expected:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn at_every_crash_point_exactly_what_is_under_way_is_found(
        ops in proptest::collection::vec(op(), 1..80),
        tear in any::<u8>(),
    ) {
        let mut run = Run::new();
        for op in ops {
            run.run(op);
        }
        let writes = run.noted.writes.lock().unwrap().clone();
        let image = InMemory::default();
        let mut written = 0;
        for (upto, model) in &run.steps {
            for (nth, (offset, bytes)) in writes[written..*upto].iter().enumerate() {
                // A write of which only a part came through is as none: only
                // what came before it counts. `model` is of the step's end,
                // so that is what the step before says.
                let nth = written + nth;
                let before = run.steps.iter().rfind(|(upto, _)| *upto <= nth);
                let torn = InMemory::default();
                for (offset, bytes) in &writes[..nth] {
                    torn.write(bytes, *offset).unwrap();
                }
                let cut = bytes.len() * usize::from(tear) / 256;
                torn.write(&bytes[..cut], *offset).unwrap();
                // What is missing may lie there already, from a write before.
                let mut there = vec![0; bytes.len()];
                let read = torn.read(&mut there, *offset).unwrap();
                let is_torn = read < bytes.len() || there != *bytes;
                // The first write makes the table.
                if let Some((_, before)) = before.filter(|_| nth > 0 && is_torn) {
                    check(&torn, before, &format!("torn write {nth}"));
                }
                image.write(bytes, *offset).unwrap();
            }
            written = *upto;
            check(&image, model, &format!("after write {written}"));
        }
    }
}
