"""functional.py LACKING LOG: runs openstacksdk's functional tests of networks. Prints those that did not pass, but for the
modules and tests that LACKING names, and a tally. What the tests say goes to LOG."""
import os, sys, sysconfig, unittest


class Tally(unittest.TextTestResult):
    """How each test ended, by its name in the list or by its module. A module as a whole can end, too."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ends = []

    def end(self, test, how):
        words = test.id().replace('setUpClass (', '').rstrip(')').split('.')
        at = words.index('v2') + 1 if 'v2' in words else 0
        test = '.'.join(words[at:])
        self.ends.append((test if test in lacking else words[at], test, how))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.end(test, 'ok')

    def addError(self, test, error):
        super().addError(test, error)
        self.end(test, 'error')

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.end(test, 'failed')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.end(test, 'skipped: ' + reason)


lines = (line.split('#')[0].split() for line in open(sys.argv[1]))
lacking = {words[0] for words in lines if words}
packages = sysconfig.get_paths()['purelib']
os.chdir(packages)
# What the library logs goes where the tests' output goes.
told, sys.stdout = sys.stdout, open(sys.argv[2], 'w')
sys.stderr = sys.stdout
tests = unittest.defaultTestLoader.discover('openstack/tests/functional/network/v2', top_level_dir=packages)
result = unittest.TextTestRunner(sys.stdout, verbosity=2, resultclass=Tally).run(tests)
sys.stdout = told
excused = {module: [how for other, _, how in result.ends if other == module] for module in lacking}
bad = [f'{test}: {how}' for module, test, how in result.ends if how != 'ok' and module not in lacking]
bad += [f'{module}: not run' for module, ends in excused.items() if not ends]
bad += [f'{module}: passes as a whole, and has no place in the list' for module, ends in excused.items() if set(ends) == {'ok'}]
print('\n'.join(sorted(bad)), end='\n' if bad else '')
passed = sum(how == 'ok' for module, _, how in result.ends if module not in lacking)
print(f'{passed} passed, {len(bad)} failed, {sum(map(len, excused.values()))} need what Sextant lacks')
sys.exit(1 if bad or not passed else 0)
