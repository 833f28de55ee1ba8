//! What can be seen of a file without running anything of it: the first bytes of an ELF file say what it is for. The system's own errors about
//! such files do not tell.

use std::path::Path;

use weir_core::{Error, Result};

/// `e_machine` of the ELF header (System V ABI, and its supplements for each processor), by the names of `std::env::consts::ARCH`.
const MACHINES: [(u16, &str); 7] =
    [(3, "x86"), (22, "s390x"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64"), (258, "loongarch64")];

/// Refuses a file that is no shared library for this machine.
///
/// # Errors
/// A user error that says what it is instead.
pub fn check(path: &Path, header: &[u8], length: u64) -> Result<()> {
    let wrong = |what: String| Error::user(format!("{} is no plugin: {what}", path.display()));
    if header.starts_with(b"\xcf\xfa\xed\xfe") || header.starts_with(b"MZ") {
        return Err(wrong("it was built for another operating system".to_owned()).with_help(format!(
            "build it for {}-{}",
            std::env::consts::ARCH,
            std::env::consts::OS
        )));
    }
    if !header.starts_with(b"\x7fELF") || header.len() < 20 {
        return Err(wrong("it is no shared library".to_owned())
            .with_help("build a crate with `crate-type = [\"cdylib\"]`, and name the file `target/release/lib….so`"));
    }
    let number = |at: usize| match header[5] {
        2 => u16::from_be_bytes([header[at], header[at + 1]]),
        _ => u16::from_le_bytes([header[at], header[at + 1]]),
    };
    const SHARED_OBJECT: u16 = 3;
    if number(16) != SHARED_OBJECT {
        return Err(wrong("it is an ELF file, and no shared library".to_owned())
            .with_help("build a crate with `crate-type = [\"cdylib\"]`"));
    }
    let machine = number(18);
    let built_for = MACHINES.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name);
    if built_for != Some(std::env::consts::ARCH) {
        let built_for = built_for.map_or_else(|| format!("machine {machine}"), str::to_owned);
        return Err(wrong(format!("it was built for {built_for}, and this process is {}", std::env::consts::ARCH))
            .with_help("build it with `--target` for the machines that workers run on"));
    }
    // To run one of which a part is missing ends the process. The table of sections stands at its end.
    let long = |at: usize| {
        let bytes: Option<[u8; 8]> = header.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| if header[5] == 2 { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    };
    let is_64_bit = header[4] == 2;
    if let (true, Some(sections), 64..) = (is_64_bit, long(0x28), header.len()) {
        let end = sections.saturating_add(u64::from(number(0x3A)) * u64::from(number(0x3C)));
        if end > length {
            return Err(wrong(format!("it is not whole: {length} bytes of at least {end} are there"))
                .with_help("copy it again"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let own = MACHINES.iter().find(|(_, name)| *name == std::env::consts::ARCH).expect("it is known").0;
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        header.extend(own.to_le_bytes());
        change(&mut header);
        header
    }

    #[test]
    fn a_file_says_what_it_is() {
        let refused = |bytes: &[u8]| {
            check(Path::new("x.so"), bytes, bytes.len() as u64).expect_err("it is no plugin").to_string()
        };
        assert!(check(Path::new("x.so"), &header(|_| ()), 20).is_ok());
        assert!(refused(b"SELECT 1").contains("it is no shared library"));
        assert!(refused(b"").contains("it is no shared library"));
        assert!(refused(&header(|header| header.truncate(19))).contains("it is no shared library"));
        assert!(refused(b"MZ\x90").contains("another operating system"));
        assert!(refused(&header(|header| header[16] = 2)).contains("an ELF file, and no shared library"));
        let other = if std::env::consts::ARCH == "aarch64" { (62, "x86_64") } else { (183, "aarch64") };
        assert!(refused(&header(|header| header[18] = other.0)).contains(&format!("built for {}", other.1)));
    }
}
