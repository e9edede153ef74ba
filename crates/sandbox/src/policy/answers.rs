//! The filter that gives other answers than "yes" and EPERM.

use core::ffi::c_long;

use seccompiler::sock_filter;

/// Calls whose arguments lie in memory, where a filter cannot look: "not there" makes the C library
/// use an older call. The process policy lists them, because of two filters' answers EPERM would win.
pub(super) const NOT_THERE: &[c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// Offset of the call's number in what a filter sees.
const NUMBER: u32 = 0;

/// `execveat` is asked for if `ask`, [`NOT_THERE`] answered ENOSYS; all else is left to the other
/// filter, which must be installed after this one.
pub(crate) fn answers(ask: bool) -> Vec<sock_filter> {
    let execute = if ask { libc::SECCOMP_RET_USER_NOTIF } else { libc::SECCOMP_RET_ALLOW };
    let not_there = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER)];
    program.extend(case(libc::SYS_execveat, execute));
    for call in NOT_THERE {
        program.extend(case(*call, not_there));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    program
}

/// If the number is `call`, this answer.
fn case(call: c_long, answer: u32) -> [sock_filter; 2] {
    let jump = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    [
        sock_filter { code: jump, jt: 0, jf: 1, k: call as u32 },
        statement(libc::BPF_RET | libc::BPF_K, answer),
    ]
}

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
