"""The system calls that a worker may make, each with its reason and its numbers; data only.

What is not listed is refused. `NAME:X86-64:ARM64` gives the number of a call on the two
architectures, -1 where it has none. Numbers from 424 on are the same on every architecture.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class AllowedCalls:
    """Calls that are allowed with any arguments, and why."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ArgumentTest:
    """A law for the low 32 bits of one argument; the kernel reads no more of each that is tested.

    `position` counts from 0. `kind` says whether the argument must be one of the `values`, must
    have a bit of each of them, or none of their bits. OWN_PID stands for the worker's own id.
    `types`, for "one of", are further values that its second byte may have: it says for which kind
    of device a request of `ioctl` is.
    """

    position: int
    kind: Literal["one of", "a bit of", "no bits of"]
    values: tuple[int, ...]
    types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitedCall:
    """A call that is allowed if its arguments pass all tests, and why."""

    reason: str
    text: str
    tests: tuple[ArgumentTest, ...]


Numbers: TypeAlias = dict[str, tuple[int, int]]

OWN_PID = -1
LAST_LISTED = 469
"""The newest call that this file knows; libraries probe newer ones, and want to hear ENOSYS."""

ALLOWED = (
    AllowedCalls(
        "reads and writes descriptors that are already open",
        "read:0:63 write:1:64 pread64:17:67 pwrite64:18:68 readv:19:65 writev:20:66 "
        "preadv:295:69 pwritev:296:70 preadv2:327:286 pwritev2:328:287 lseek:8:62 "
        "sendfile:40:71 copy_file_range:326:285 close:3:57 close_range:436:436 dup:32:23 "
        "dup2:33:-1 dup3:292:24 pipe:22:-1 pipe2:293:59",
    ),
    AllowedCalls(
        "opens files and reads their names, sizes and attributes; Landlock says which may change",
        "open:2:-1 openat:257:56 openat2:437:437 creat:85:-1 access:21:-1 faccessat:269:48 "
        "faccessat2:439:439 stat:4:-1 fstat:5:80 lstat:6:-1 newfstatat:262:79 statx:332:291 "
        "statfs:137:43 fstatfs:138:44 getdents:78:-1 getdents64:217:61 getcwd:79:17 chdir:80:49 "
        "fchdir:81:50 readlink:89:-1 readlinkat:267:78 getxattr:191:8 lgetxattr:192:9 "
        "fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13 umask:95:166",
    ),
    AllowedCalls(
        "makes, renames, cuts and removes files where Landlock allows it",
        "rename:82:-1 renameat:264:38 renameat2:316:276 link:86:-1 linkat:265:37 symlink:88:-1 "
        "symlinkat:266:36 unlink:87:-1 unlinkat:263:35 mkdir:83:-1 mkdirat:258:34 rmdir:84:-1 "
        "truncate:76:45 ftruncate:77:46 fallocate:285:47",
    ),
    AllowedCalls(
        "brings written data to disk, or says how a file will be read",
        "fsync:74:82 fdatasync:75:83 sync_file_range:277:84 msync:26:227 fadvise64:221:223 "
        "readahead:187:213",
    ),
    AllowedCalls(
        "asks for, protects and gives back memory of this process; compilers make code in it",
        "brk:12:214 mmap:9:222 munmap:11:215 mremap:25:216 mprotect:10:226 madvise:28:233 "
        "mincore:27:232 mlock:149:228 mlock2:325:284 munlock:150:229 munlockall:152:231 "
        "mseal:462:462",
    ),
    AllowedCalls(
        "places memory of this process, on machines with several memory nodes",
        "get_mempolicy:239:236 set_mempolicy:238:237 mbind:237:235 set_mempolicy_home_node:450:450",
    ),
    AllowedCalls(
        "sets up thread-local memory, protection keys and shadow stacks, as C libraries do",
        "arch_prctl:158:-1 pkey_alloc:330:289 pkey_free:331:290 pkey_mprotect:329:288 "
        "map_shadow_stack:453:453",
    ),
    AllowedCalls(
        "lets threads of this process wait for each other",
        "futex:202:98 futex_waitv:449:449 futex_wake:454:454 futex_wait:455:455 "
        "futex_requeue:456:456 set_robust_list:273:99 set_tid_address:218:96 rseq:334:293 "
        "membarrier:324:283",
    ),
    AllowedCalls(
        "waits for descriptors and for time to pass",
        "poll:7:-1 ppoll:271:73 select:23:-1 pselect6:270:72 epoll_create:213:-1 "
        "epoll_create1:291:20 epoll_ctl:233:21 epoll_wait:232:-1 epoll_pwait:281:22 "
        "epoll_pwait2:441:441 eventfd:284:-1 eventfd2:290:19 timerfd_create:283:85 "
        "timerfd_settime:286:86 timerfd_gettime:287:87 nanosleep:35:101 clock_nanosleep:230:115 "
        "pause:34:-1",
    ),
    AllowedCalls(
        "reads clocks and sets timers of this process",
        "clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201:-1 "
        "times:100:153 timer_create:222:107 timer_settime:223:110 timer_gettime:224:108 "
        "timer_getoverrun:225:109 timer_delete:226:111 setitimer:38:103 getitimer:36:102 "
        "alarm:37:-1",
    ),
    AllowedCalls(
        "handles signals that come to this process",
        "rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136 "
        "rt_sigtimedwait:128:137 rt_sigsuspend:130:133 sigaltstack:131:132 signalfd:282:-1 "
        "signalfd4:289:74 restart_syscall:219:128",
    ),
    AllowedCalls(
        "reads who this process is and what it may do",
        "getpid:39:172 getppid:110:173 gettid:186:178 getuid:102:174 geteuid:107:175 "
        "getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150 getgroups:115:158 "
        "getpgid:121:155 getpgrp:111:-1 getsid:124:156 capget:125:90",
    ),
    AllowedCalls(
        "reads what the machine is, what was used of it, and random numbers",
        "uname:63:160 sysinfo:99:179 getrusage:98:165 getrlimit:97:163 getcpu:309:168 "
        "getrandom:318:278 getpriority:140:141",
    ),
    AllowedCalls(
        "reads on which cores and in which order threads run, and lets others run first",
        "sched_yield:24:124 sched_getaffinity:204:123 sched_getscheduler:145:120 "
        "sched_getparam:143:121 sched_getattr:315:275 sched_get_priority_max:146:125 "
        "sched_get_priority_min:147:126 sched_rr_get_interval:148:127",
    ),
    AllowedCalls(
        "lowers the limits of this process; to raise one takes a capability that workers gave up",
        "setrlimit:160:164",
    ),
    AllowedCalls(
        "ends threads and this process, and asks for children, of which it has none",
        "exit:60:93 exit_group:231:94 wait4:61:260 waitid:247:95",
    ),
)

_THREAD = 0x10000
_NEW_NAMESPACES = 0x7E020000  # mount, control group, host name, IPC, user, process, network
_DESCRIPTOR_CALLS = (0, 1, 2, 3, 4, 1030)  # duplicate, and read or set flags
_LOCK_CALLS = (5, 6, 7, 36, 37, 38)  # of ranges of a file, as databases use them
_PIPE_AND_SEAL_CALLS = (1031, 1032, 1033, 1034)
_TERMINAL_READS = (0x5401, 0x5413, 0x802C542A)  # is it a terminal, and how large
_DESCRIPTOR_SWITCHES = (0x541B, 0x5421, 0x5450, 0x5451)  # bytes that wait, blocking, close-on-exec
_NAMES = (15, 16, 0x53564D41)  # of a thread and of memory
_READS = (2, 3, 21, 23, 27, 30, 39, 42, 52, 56)
_VECTOR_LENGTHS = (50, 51, 63, 64)  # of 64-bit ARM
_HUGE_PAGES = (41,)

LIMITED = (
    LimitedCall(
        "starts a thread, but no process and no namespace",
        "clone:56:220",
        (
            ArgumentTest(0, "a bit of", (_THREAD,)),
            ArgumentTest(0, "no bits of", (_NEW_NAMESPACES,)),
        ),
    ),
    LimitedCall(
        "sends signals to this process alone",
        "kill:62:129 tgkill:234:131 tkill:200:130 rt_sigqueueinfo:129:138 "
        "rt_tgsigqueueinfo:297:240",
        (ArgumentTest(0, "one of", (OWN_PID,)),),
    ),
    LimitedCall(
        "reads and lowers limits, and picks cores, of this process alone",
        "prlimit64:302:261 sched_setaffinity:203:122",
        (ArgumentTest(0, "one of", (0, OWN_PID)),),
    ),
    LimitedCall(
        "lets others run before this process",
        "setpriority:141:140",
        (ArgumentTest(0, "one of", (0,)), ArgumentTest(1, "one of", (0, OWN_PID))),
    ),
    LimitedCall(
        "duplicates descriptors and reads their flags, and locks files; it does not say who gets "
        "signals of a descriptor",
        "fcntl:72:25",
        (ArgumentTest(1, "one of", _DESCRIPTOR_CALLS + _LOCK_CALLS + _PIPE_AND_SEAL_CALLS),),
    ),
    LimitedCall(
        "asks whether a descriptor is a terminal and how many bytes wait; it types nothing into "
        "one and takes none over",
        "ioctl:16:29",
        (ArgumentTest(1, "one of", _TERMINAL_READS + _DESCRIPTOR_SWITCHES),),
    ),
    LimitedCall(
        "names threads and memory, and reads settings of this process; the signal at its parent's "
        "end stays set",
        "prctl:157:167",
        (ArgumentTest(0, "one of", _NAMES + _READS + _VECTOR_LENGTHS + _HUGE_PAGES),),
    ),
)

_NVIDIA_TYPES = (0x46, 0x00)  # of the driver, and of its part for memory that is shared with a GPU
_NVIDIA_MEMORY_CALLS = (0x30000001, 0x30000002)

GPU_CALLS = LimitedCall(
    "as above, and talks to the driver of NVIDIA GPUs, whose files Landlock lets it open",
    "ioctl:16:29",
    (
        ArgumentTest(
            1,
            "one of",
            _TERMINAL_READS + _DESCRIPTOR_SWITCHES + _NVIDIA_MEMORY_CALLS,
            _NVIDIA_TYPES,
        ),
    ),
)
"""In place of the rule for `ioctl`, for workers that run models on a GPU; others never have it."""

NOT_THERE = AllowedCalls(
    "libraries that hear ENOSYS take another way: the flags of clone3 cannot be read, and memory "
    "files would count for nobody",
    "clone3:435:435 memfd_create:319:279 memfd_secret:447:447 cachestat:451:451",
)
"""Calls that look as if the kernel had none of them."""


def call_numbers(text: str) -> Numbers:
    """The numbers of each call in a text of this module, by name."""
    fields = (word.split(":") for word in text.split())
    return {name: (int(x86), int(arm)) for name, x86, arm in fields}
