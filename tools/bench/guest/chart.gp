# SPDX-License-Identifier: GPL-2.0
# gnuplot -e "dat='bench-guest.dat'; svg='bench-guest.svg'" chart.gp
set terminal svg size 800,500 font "sans,13" background "white"
set output svg
set title "Direct reads from an NVMe disk in a guest, on the emulated host, ".strftime("%B %Y", time(0))
set ylabel "time, by that behind QEMU with accel=on"
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.7 border -1
set yrange [0:*]
set grid ytics
set key outside bottom center horizontal
set arrow from graph 0, first 1 to graph 1, first 1 nohead dashtype 2
plot dat using 2:xtic(1) title "instructions", \
     dat using 3 title "instructions, polled", \
     dat using 4 title "instructions, no vSMMU", \
     dat using 5 title "real time, emulated host", \
     dat using 6 title "real time, emulated host, polled", \
     dat using 7 title "real time, emulated host, no vSMMU"
