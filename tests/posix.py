"""Modules, functions and signals of Python of which Windows has not all."""

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
SIGNALS = {  # of signal, what it has
    *("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN", "Signals", "Handlers"),
    *("signal", "getsignal", "default_int_handler", "raise_signal", "set_wakeup_fd", "strsignal", "valid_signals"),
}
MISSING = {  # of os, what it has not
    *("chown", "chroot", "confstr", "ctermid", "environb", "fchown", "fork", "forkpty", "fwalk", "getegid", "geteuid"),
    *("getgid", "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getsid", "getuid", "getxattr"),
    *("killpg", "lchown", "listxattr", "lockf", "mkfifo", "mknod", "nice", "openpty", "pathconf", "pipe2"),
    *("posix_fadvise", "posix_fallocate", "posix_spawn", "pread", "pwrite", "register_at_fork", "sched_getaffinity"),
    *("sched_setaffinity", "sendfile", "setegid", "seteuid", "setgid", "setpgid", "setpriority", "setsid", "setuid"),
    *("setxattr", "statvfs", "sync", "sysconf", "ttyname", "uname", "wait", "wait3", "wait4", "waitid"),
    *("O_ASYNC", "O_CLOEXEC", "O_DIRECT", "O_DIRECTORY", "O_DSYNC", "O_NOATIME", "O_NOCTTY", "O_NOFOLLOW"),
    *("O_NONBLOCK", "O_PATH", "O_SYNC", "O_TMPFILE", "WEXITSTATUS", "WIFEXITED", "WIFSIGNALED", "WNOHANG", "WTERMSIG"),
}
