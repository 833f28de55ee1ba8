//! Which copies there are: in sled, so that it survives the process, and in memory, so that it can be asked.

use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;

/// The catalog.
pub struct Catalog {
    database: sled::Db,
    copies: BTreeMap<String, LocalCopy>,
    /// Keys by their last use.
    by_use: BTreeMap<u64, String>,
    bytes: u64,
    /// Greater than every number and every use so far.
    next: u64,
}

/// A copy of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCopy {
    /// Names its file.
    pub number: u64,
    /// When it was last used: later is greater.
    pub used: u64,
    /// Its length in bytes.
    pub length: u64,
    /// CRC-32 of each piece.
    pub checksums: Vec<u32>,
}

impl LocalCopy {
    fn to_bytes(&self) -> Vec<u8> {
        let numbers = [self.number, self.used, self.length].into_iter().flat_map(u64::to_le_bytes);
        numbers.chain(self.checksums.iter().flat_map(|checksum| checksum.to_le_bytes())).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, checksums) = bytes.split_at_checked(24)?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let (checksums, rest) = checksums.as_chunks::<4>();
        let [number, used, length] = *numbers else { return None };
        rest.is_empty().then(|| Self {
            number: u64::from_le_bytes(number),
            used: u64::from_le_bytes(used),
            length: u64::from_le_bytes(length),
            checksums: checksums.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect(),
        })
    }
}

impl Catalog {
    /// Opens the catalog in `folder`, or makes one.
    ///
    /// # Errors
    /// If it cannot be read. It is best removed then.
    pub fn open(folder: &Path) -> io::Result<Self> {
        // There are damages of its files at which sled panics.
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| Self::load(folder)));
        opened.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::InvalidData, "the catalog is damaged")))
    }

    fn load(folder: &Path) -> io::Result<Self> {
        let database = sled::Config::new().path(folder).cache_capacity(8 << 20).open()?;
        let mut catalog = Self { database, copies: BTreeMap::new(), by_use: BTreeMap::new(), bytes: 0, next: 0 };
        for entry in catalog.database.clone().iter() {
            let (key, value) = entry?;
            let known = String::from_utf8(key.to_vec()).ok().zip(LocalCopy::from_bytes(&value));
            let Some((key, copy)) = known else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the catalog has an entry that is none"));
            };
            catalog.next = catalog.next.max(copy.number + 1).max(copy.used + 1);
            catalog.add(key, copy);
        }
        Ok(catalog)
    }

    fn add(&mut self, key: String, copy: LocalCopy) {
        self.bytes += copy.length;
        self.by_use.insert(copy.used, key.clone());
        self.copies.insert(key, copy);
    }

    /// Bytes of all copies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a copy has this number.
    pub fn has(&self, number: u64) -> bool {
        self.copies.values().any(|copy| copy.number == number)
    }

    /// The copy to drop first.
    pub fn least_recently_used(&self) -> Option<String> {
        self.by_use.first_key_value().map(|(_, key)| key.clone())
    }

    /// A copy that is about to be made.
    pub fn reserve(&mut self, length: u64, checksums: Vec<u32>) -> LocalCopy {
        let number = self.next;
        self.next += 1;
        LocalCopy { number, used: number, length, checksums }
    }

    /// A copy is there.
    ///
    /// # Errors
    /// If that could not be noted.
    pub fn insert(&mut self, key: &str, copy: LocalCopy) -> io::Result<()> {
        self.database.insert(key, copy.to_bytes())?;
        self.add(key.to_owned(), copy);
        Ok(())
    }

    /// A copy is used.
    ///
    /// # Errors
    /// If that could not be noted.
    pub fn used(&mut self, key: &str) -> io::Result<Option<LocalCopy>> {
        let Some(copy) = self.copies.get_mut(key) else { return Ok(None) };
        self.by_use.remove(&copy.used);
        copy.used = self.next;
        self.next += 1;
        self.by_use.insert(copy.used, key.to_owned());
        self.database.insert(key, copy.to_bytes())?;
        Ok(Some(copy.clone()))
    }

    /// A copy is to go.
    ///
    /// # Errors
    /// If that could not be noted.
    pub fn remove(&mut self, key: &str) -> io::Result<Option<LocalCopy>> {
        let Some(copy) = self.copies.remove(key) else { return Ok(None) };
        self.by_use.remove(&copy.used);
        self.bytes -= copy.length;
        self.database.remove(key)?;
        Ok(Some(copy))
    }
}
