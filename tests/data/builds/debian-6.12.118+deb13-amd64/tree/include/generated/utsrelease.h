#define UTS_RELEASE "6.12.118+deb13-amd64"
