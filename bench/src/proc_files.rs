//! What the kernel says of a process in `/proc`, see proc(5).
//!
//! Contract: parsing only; a text of another form is `None`, never a guess.

/// Ticks per second in which `/proc` counts time: `USER_HZ`, 100 on every architecture this project is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process in seconds, all its threads together, from `/proc/<pid>/stat`. The name, in
/// parentheses, may hold spaces and parentheses itself: fields are counted behind the last one.
pub(crate) fn cpu_seconds(stat: &str) -> Option<(f64, f64)> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    // The first field behind the name is the third, `state`; `utime` is the 14th, `stime` the 15th.
    let mut fields = behind_name.split_ascii_whitespace().skip(14 - 3);
    let mut seconds = || Some(fields.next()?.parse::<u64>().ok()? as f64 / TICKS_PER_SECOND);
    Some((seconds()?, seconds()?))
}

/// Largest resident memory so far in bytes, from `/proc/<pid>/status`.
pub(crate) fn peak_resident_bytes(status: &str) -> Option<u64> {
    kib_of(status, "VmHWM:")
}

/// Resident memory now in bytes, likewise.
pub(crate) fn resident_bytes(status: &str) -> Option<u64> {
    kib_of(status, "VmRSS:")
}

fn kib_of(status: &str, name: &str) -> Option<u64> {
    let kib = field(status, name)?.strip_suffix("kB")?.trim_end();
    kib.parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes that were written to storage, or will be, from `/proc/<pid>/io`. Nothing on a file system in memory.
pub(crate) fn written_bytes(io: &str) -> Option<u64> {
    field(io, "write_bytes:")?.parse().ok()
}

/// What stands behind `name` on the line that begins with it.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str) -> String {
        format!(
            "4711 ({name}) Z 1 4711 4711 0 -1 4227084 1204 55 3 0 1234 56 7 8 20 0 1 0 998877 0 0 18446744073709551615"
        )
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        for name in ["watertight", "stream (1) x", "a) R 1 2 3", "((", ""] {
            assert_eq!(cpu_seconds(&stat(name)), Some((12.34, 0.56)), "{name}");
        }
    }

    #[test]
    fn a_stat_of_another_form_is_nothing() {
        for text in ["", "4711 (x", "4711 (x) Z 1 2", "4711 (x) Z 1 2 3 4 5 6 7 8 9 10 eleven 12"] {
            assert_eq!(cpu_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn memory_and_bytes_are_found_by_name() {
        let status = "Name:\twatertight\nVmPeak:\t  900000 kB\nVmHWM:\t  123456 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(peak_resident_bytes(status), Some(123_456 * 1024));
        assert_eq!(resident_bytes(status), Some(1_000 * 1024));
        assert_eq!(peak_resident_bytes("Name:\tzombie\n"), None);
        let io = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n";
        assert_eq!(written_bytes(io), Some(4_096));
        assert_eq!(written_bytes("wchar: 2\n"), None);
    }
}
